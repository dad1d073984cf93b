# Places that children share on an open machine: caches, git, homes, temporary directories, the slot itself.


def _mark(path):
    os.makedirs(os.path.dirname(path), exist_ok=True)
    write(path, M["name"])


@attempt("caches")
def a_source_in_a_cache_is_changed():
    write(M["cache"] + "/registry/src/build.rs", M["name"])


@attempt("caches")
def a_program_in_a_cache_is_replaced():
    write(M["cache"] + "/bin/cargo", M["name"])


@attempt("caches")
def a_setting_of_a_cache_is_made():
    _mark(M["cache"] + "/config.toml")


@attempt("caches")
def a_cache_is_emptied():
    shutil.rmtree(M["cache"] + "/emptied")


@attempt("caches")
def a_directory_of_a_cache_becomes_a_link():
    shutil.rmtree(M["cache"] + "/linked")
    os.symlink(M["outside"], M["cache"] + "/linked")


@attempt("metadata")
def the_mode_in_a_cache_is_changed():
    os.chmod(M["cache"] + "/moded", 0o4777)


@attempt("caches")
def a_cache_inside_a_cache_is_written():
    _mark(M["cache"] + "/inner/mod/more")


@attempt("git")
def a_hook_is_planted():
    _mark(M["git"] + "/hooks/post-checkout")
    os.chmod(M["git"] + "/hooks/post-checkout", 0o755)


@attempt("metadata")
def a_hook_that_is_there_is_made_to_run():
    os.chmod(M["git"] + "/hooks/pre-commit", 0o755)


@attempt("git")
def a_setting_of_git_is_written():
    with open(M["git"] + "/config", "a") as file:
        file.write("[core]\n\tfsmonitor = evil\n")


@attempt("git")
def a_branch_is_moved():
    write(M["git"] + "/refs/heads/moved", "0" * 40 + "\n")


@attempt("git")
def the_head_is_moved():
    write(M["git"] + "/HEAD", "ref: refs/heads/evil\n")


@attempt("git")
def a_ref_of_omk_is_made():
    _mark(M["git"] + "/refs/omk/keep/evil")


@attempt("git")
def an_object_is_replaced():
    found = [path for path in glob.glob(M["git"] + "/objects/??/*")]
    os.chmod(found[0], 0o644)
    write(found[0], "dead")


@attempt("git")
def an_object_is_removed():
    os.unlink(sorted(glob.glob(M["git"] + "/objects/??/*"))[-1])


@attempt("git")
def objects_are_borrowed_from_elsewhere():
    _mark(M["git"] + "/objects/info/alternates")


@attempt("git")
def the_index_of_the_checkout_is_replaced():
    write(M["git"] + "/index", "dead")


@attempt("git")
def attributes_are_planted():
    _mark(M["git"] + "/info/attributes")


@attempt("git")
def excludes_are_planted():
    _mark(M["git"] + "/info/exclude")


@attempt("git")
def the_list_of_worktrees_is_changed():
    _mark(M["git"] + "/worktrees/evil/gitdir")


@attempt("git")
def packed_refs_are_written():
    _mark(M["git"] + "/packed-refs")


@attempt("git")
def a_stash_is_left():
    _mark(M["git"] + "/refs/stash")


@attempt("git")
def git_itself_is_moved():
    os.rename(M["git"], M["git"] + "-moved")
    os.rename(M["git"] + "-moved", M["git"])
    os.utime(own(), (1, 1))


@attempt("git")
def a_module_of_git_is_planted():
    _mark(M["git"] + "/modules/evil/config")


@attempt("git")
def a_grafted_history_is_planted():
    _mark(M["git"] + "/info/grafts")
    _mark(M["git"] + "/shallow")


@attempt("homes")
def the_home_of_another_child_is_written():
    _mark(M["pool"] + "/other.private/home/.profile")


@attempt("homes")
def the_temporary_directory_of_another_child_is_written():
    _mark(M["pool"] + "/other.private/tmp/more")


@attempt("homes")
def the_users_profile_is_written():
    _mark(M["user"] + "/.bashrc")


@attempt("homes")
def an_authorized_key_is_planted():
    _mark(M["user"] + "/.ssh/authorized_keys")


@attempt("homes")
def a_program_is_planted_on_the_path():
    _mark(M["user"] + "/.local/bin/git")


@attempt("homes")
def the_users_git_settings_are_written():
    _mark(M["user"] + "/.gitconfig")


@attempt("homes")
def another_slot_is_written():
    _mark(M["pool"] + "/other/source.txt")


@attempt("homes")
def a_slot_of_the_next_number_is_made():
    _mark(M["pool"] + "/next/planted.txt")


@attempt("homes")
def the_checkout_is_written():
    _mark(M["checkout"] + "/planted.txt")


@attempt("homes")
def a_service_of_the_user_is_planted():
    _mark(M["user"] + "/.config/systemd/user/evil.service")


@attempt("homes")
def a_job_of_the_user_is_planted():
    _mark(M["user"] + "/.config/autostart/evil.desktop")


@attempt("homes")
def a_journal_of_omk_is_changed():
    with open(M["git"] + "/omk/runs/1/journal.jsonl", "a") as file:
        file.write("dead")


@attempt("homes")
def a_proof_is_planted():
    _mark(M["git"] + "/omk/runs/1/proofs/evil.json")


@attempt("homes")
def a_tool_of_omk_is_replaced():
    _mark(M["pool"] + "/../tools/kimi")


@attempt("temporary files")
def a_file_is_left_in_tmp():
    _mark(f"/tmp/{M['nonce']}-{M['name']}")


@attempt("temporary files")
def a_file_is_left_in_var_tmp():
    _mark(f"/var/tmp/{M['nonce']}-{M['name']}")


@attempt("temporary files")
def a_file_is_left_in_dev():
    if os.getuid():
        raise NotHere("only root makes files there")
    _mark(f"/dev/{M['nonce']}-{M['name']}")


@attempt("temporary files")
def a_file_is_left_in_run_lock():
    if not os.access("/run/lock", os.W_OK) and not M["landlock"]:
        raise NotHere("there is no such place")
    _mark(f"/run/lock/{M['nonce']}-{M['name']}")


@attempt("shared memory")
def a_file_is_left_in_dev_shm():
    _mark(f"/dev/shm/{M['nonce']}-{M['name']}")


@attempt("private files")
def a_file_of_everybodys_temporary_directory_is_read():
    read(M["tmp_secret"])


def _replaced(directory):
    """Puts a link to the outside in its place for a moment."""
    os.rename(directory, directory + "-away")
    try:
        os.symlink(M["outside"], directory)
        try:
            write(f"{directory}/{M['name']}/canary")
        finally:
            os.unlink(directory)
    finally:
        os.rename(directory + "-away", directory)


@attempt("the slot itself")
def the_slot_is_moved_away():
    os.rename(M["slot"], M["slot"] + "-moved")
    os.rename(M["slot"] + "-moved", M["slot"])
    os.utime(own(), (1, 1))


@attempt("the slot itself")
def the_slot_becomes_a_link():
    os.chdir("/")
    _replaced(M["slot"])


@attempt("the slot itself")
def a_neighbour_of_the_slot_is_made():
    _mark(os.path.dirname(M["slot"]) + "/planted-" + M["nonce"])
    write(own())


@attempt("the slot itself")
def the_home_becomes_a_link():
    _replaced(M["child_home"])


@attempt("the slot itself")
def a_deep_tree_leads_out_by_its_length():
    # Paths longer than the kernel takes, walked step by step, end where they began.
    deep = "d" * 200
    for _ in range(30):
        os.mkdir(deep)
        os.chdir(deep)
    os.chdir("/".join([".."] * 31))
    os.chdir("..")
    target = os.path.relpath(own(), ".")
    write(target)


@attempt("the slot itself")
def a_name_with_dots_and_a_newline_leads_out():
    os.makedirs("a\nb/..c", exist_ok=True)
    os.symlink(own(), "a\nb/..c/out\n")
    write("a\nb/..c/out\n")
