# Reading what is the user's or omk's alone. Each prints it; only the outside knows what it would have to be.


@attempt("private files")
def the_checkout_is_read():
    read(M["checkout"] + "/private.txt")


@attempt("private files")
def the_checkout_is_listed():
    print(os.listdir(M["checkout"]))


@attempt("private files")
def the_checkout_is_read_through_the_root_of_the_first_process():
    read(f"/proc/{M['first']}/root" + M["checkout"] + "/private.txt")


@attempt("private files")
def the_checkout_is_read_by_walking_up_from_git():
    read(os.path.join(M["git"], "..", "private.txt"))


@attempt("private files")
def another_slot_is_read():
    read(M["pool"] + "/other/source.txt")


@attempt("private files")
def another_slot_is_read_by_walking_up_from_the_own_one():
    for directory in (os.getcwd(), os.environ["HOME"], os.environ["TMPDIR"]):
        read(os.path.relpath(M["pool"] + "/other/source.txt", directory))


@attempt("private files")
def the_gateways_token_of_another_attempt_is_read():
    read(M["pool"] + "/other.private/kimi/config.toml")


@attempt("private files")
def the_transcript_of_another_attempt_is_read():
    read(M["git"] + "/omk/runs/1/transcripts/other.jsonl")


@attempt("private files")
def the_journal_is_read():
    read(M["git"] + "/omk/runs/1/journal.jsonl")


@attempt("private files")
def the_log_of_another_task_is_read():
    read(M["git"] + "/omk/runs/1/logs/other.log")


@attempt("private files")
def the_cassette_is_read():
    read(M["git"] + "/omk/runs/1/cassette/tape.jsonl")


@attempt("private files")
def everything_of_omk_is_searched():
    for path in glob.glob(M["git"] + "/omk/**", recursive=True):
        if os.path.isfile(path):
            read(path)


@attempt("private files")
def an_ssh_key_is_read():
    read(M["user"] + "/.ssh/id_ed25519")


@attempt("private files")
def cloud_credentials_are_read():
    read(M["user"] + "/.aws/credentials")


@attempt("private files")
def the_forges_token_is_read():
    read(M["user"] + "/.config/gh/hosts.yml")


@attempt("private files")
def the_registrys_token_is_read():
    read(M["user"] + "/.npmrc")


@attempt("private files")
def a_netrc_is_read():
    read(M["user"] + "/.netrc")


@attempt("private files")
def docker_credentials_are_read():
    read(M["user"] + "/.docker/config.json")


@attempt("private files")
def git_credentials_are_read():
    read(M["user"] + "/.git-credentials")


@attempt("private files")
def cargo_credentials_are_read():
    read(M["cache"] + "/credentials.toml")


def _moved(path):
    """Reads what is hidden at a path under another name, and puts it back."""
    os.rename(path, path + "-moved")
    try:
        for found in [path + "-moved", *glob.glob(path + "-moved/**", recursive=True)]:
            if os.path.isfile(found):
                read(found)
    finally:
        os.rename(path + "-moved", path)


@attempt("private files")
def cargo_credentials_are_uncovered_by_a_rename():
    _moved(M["cache"] + "/credentials.toml")


@attempt("private files")
def cargo_credentials_are_uncovered_by_moving_the_directory():
    _moved(M["cache"])


@attempt("private files")
def omks_runs_are_uncovered_by_a_rename():
    _moved(M["git"] + "/omk")


@attempt("private files")
def the_checkout_is_uncovered_by_a_rename():
    _moved(M["checkout"])


@attempt("private files")
def cargo_credentials_are_read_by_another_name():
    os.link(M["cache"] + "/credentials.toml", M["cache"] + "/c")
    read(M["cache"] + "/c")


@attempt("private files")
def cargo_credentials_are_uncovered_by_unlinking_the_cover():
    path = M["cache"] + "/credentials.toml"
    read(path)
    os.unlink(path)
    if os.path.exists(path):
        read(path)


@attempt("private files")
def a_history_is_searched_in_the_home():
    for path in glob.glob(M["user"] + "/.*history"):
        read(path)
    read(M["user"] + "/.bash_history")


@answer("private files", "root")
def the_shadow_file_is_read():
    with open("/etc/shadow") as file:
        if "root:" not in file.read():
            raise RuntimeError("nothing is in it")
    return "read"


@attempt("processes seen")
def the_environment_of_a_process_is_read():
    read(f"/proc/{victim()}/environ")


@attempt("processes seen")
def the_command_line_of_a_process_is_read():
    read(f"/proc/{victim()}/cmdline")


@attempt("processes seen")
def command_lines_are_searched():
    # Of the processes that the test started alone: those of others are not looked at.
    for pid in M["victims"].values():
        with open(f"/proc/{pid}/cmdline", "rb") as file:
            text = file.read()
        if b"SECRET" in text:
            return print(text)


@attempt("processes seen")
def the_directory_of_a_process_is_found():
    print(os.readlink(f"/proc/{victim()}/cwd"))
    print(os.listdir(f"/proc/{victim()}/cwd"))
    read(f"/proc/{victim()}/cwd/secret")


@attempt("processes seen")
def a_file_that_a_process_has_open_is_read():
    read(f"/proc/{victim()}/fd/0")


@attempt("processes seen")
def the_root_of_a_process_is_walked():
    read(f"/proc/{victim()}/root" + M["checkout"] + "/private.txt")


@answer("processes seen")
def a_process_is_found_to_exist():
    os.kill(victim(), 0)


@answer("processes seen")
def the_identity_of_a_process_is_asked_for():
    return os.getpgid(victim())


@answer("processes seen")
def the_status_of_a_process_is_read():
    with open(f"/proc/{victim()}/status") as file:
        return file.read(20)


@answer("processes seen")
def a_descriptor_of_a_process_is_had():
    return call(434, 434, victim(), 0)


@attempt("memory of processes")
def the_memory_of_a_process_is_read_through_proc():
    with open(f"/proc/{victim()}/maps") as file:
        spans = [line.split()[0].split("-") for line in file if "[stack]" in line]
    start, end = (int(each, 16) for each in spans[0])
    with open(f"/proc/{victim()}/mem", "rb", 0) as file:
        file.seek(start)
        text = file.read(end - start)
    found = text.find(b"SECRET")
    print(text[found : found + 200])


@answer("memory of processes")
def a_process_is_traced():
    call(101, 117, 16, victim(), 0, 0)  # PTRACE_ATTACH
    os.waitpid(victim(), 0x40000000)
    call(101, 117, 17, victim(), 0, 0)
    return "traced"


@answer("memory of processes")
def a_process_is_seized():
    call(101, 117, 0x4206, victim(), 0, 0)
    return "seized"


@answer("memory of processes")
def the_memory_of_a_process_is_read_by_a_call():
    with open(f"/proc/{victim()}/maps") as file:
        start = int(file.readline().split("-")[0], 16)
    into = ctypes.create_string_buffer(16)
    mine, theirs = struct.pack("QQ", ctypes.addressof(into), 16), struct.pack("QQ", start, 16)
    return call(310, 270, victim(), mine, 1, theirs, 1, 0)


@answer("memory of processes")
def a_descriptor_is_taken_from_a_process():
    process = call(434, 434, victim(), 0)
    return call(438, 438, process, 0, 0)


@answer("memory of processes")
def the_first_process_is_traced():
    return call(101, 117, 0x4206, M["first"], 0, 0)


@answer("memory of processes")
def the_memory_of_the_first_process_is_written():
    os.close(os.open(f"/proc/{M['first']}/mem", os.O_RDWR))
    return "opened"


@answer("memory of processes")
def the_environment_of_the_first_process_is_read():
    with open(f"/proc/{M['first']}/environ", "rb") as file:
        return len(file.read())


@answer("memory of processes")
def the_files_of_the_first_process_are_named():
    return os.readlink(f"/proc/{M['first']}/fd/1")


@answer("memory of processes")
def a_socket_of_the_first_process_is_had():
    return call(438, 438, call(434, 434, M["first"], 0), 0, 0)
