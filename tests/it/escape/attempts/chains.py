# Ways from one child to a later one, other than the slot's tree. Each child looks for marks of earlier ones in the order
# below, and leaves its own in the opposite order.


def _replaced_by_a_link(path, mark):
    """A link to the outside in the place of something. Whoever finds it puts back what was there."""
    if mark is None:
        found = os.readlink(path)
        os.unlink(path)
        os.rename(path + "-away", path)
        return found
    os.rename(path, path + "-away")
    os.symlink(M["outside"] + "/chain", path)


@chain
def by_a_link_in_the_place_of_the_home(mark):
    return _replaced_by_a_link(os.environ["HOME"], mark)


@chain
def by_a_link_in_the_place_of_a_tracked_directory(mark):
    # Laying out the tree again must not write through it.
    return _replaced_by_a_link("src", mark)


@chain
def by_a_link_in_the_place_of_gits_own_file(mark):
    return _replaced_by_a_link(".git", mark)


@chain
def by_tmp(mark):
    return kept_in(f"/tmp/{M['nonce']}-chain", mark)


@chain
def by_var_tmp(mark):
    return kept_in(f"/var/tmp/{M['nonce']}-chain", mark)


@chain
def by_dev_shm(mark):
    return kept_in(f"/dev/shm/{M['nonce']}-chain", mark)


@chain
def by_dev(mark):
    return kept_in(f"/dev/{M['nonce']}-chain", mark)


@chain
def by_run_lock(mark):
    return kept_in(f"/run/lock/{M['nonce']}-chain", mark)


@chain
def by_the_home(mark):
    return kept_in(os.environ["HOME"] + "/.mark", mark)


@chain
def by_the_directory_around_the_home(mark):
    return kept_in(os.path.dirname(os.environ["HOME"]) + "/mark", mark)


@chain
def by_the_temporary_directory(mark):
    return kept_in(os.environ["TMPDIR"] + "/mark", mark)


@chain
def by_the_neighbourhood_of_the_slot(mark):
    return kept_in(os.path.dirname(os.getcwd()) + "/mark", mark)


def _cache(name, mark):
    if name not in os.environ:
        raise NotHere(name)
    return kept_in(os.environ[name] + "/mark", mark)


@chain
def by_the_cache_of_cargo(mark):
    return _cache("CARGO_HOME", mark)


@chain
def by_the_cache_of_npm(mark):
    return _cache("npm_config_cache", mark)


@chain
def by_the_cache_of_pip(mark):
    return _cache("PIP_CACHE_DIR", mark)


@chain
def by_the_cache_of_go(mark):
    return _cache("GOMODCACHE", mark)


@chain
def by_a_hook_of_git(mark):
    return kept_in(M["git"] + "/hooks/post-checkout", mark)


@chain
def by_the_settings_of_git(mark):
    if mark is None:
        return sh("git config omk.mark")
    sh(f"git config omk.mark {mark}")


@chain
def by_a_stash(mark):
    if mark is None:
        return sh("git rev-parse --verify refs/stash")
    write("src/lib.rs", mark)
    sh("git -c user.name=a -c user.email=a@example.com stash")


@chain
def by_a_branch(mark):
    if mark is None:
        return sh("git rev-parse --verify refs/heads/mark")
    sh("git branch -f mark HEAD")


@chain
def by_an_object(mark):
    # Each child has the same text: whoever finds its object did not write it.
    name = "git hash-object --stdin"
    if mark is None:
        return sh(f"git cat-file -p $(echo {M['nonce']} | {name})")
    sh(f"echo {M['nonce']} | {name} -w")


@chain
def by_borrowed_objects(mark):
    return kept_in(M["git"] + "/objects/info/alternates", mark and os.environ["HOME"] + "\n")


@chain
def by_a_flag_in_the_index(mark):
    if mark is None:
        if "S omk.yaml" not in sh("git ls-files -t omk.yaml"):
            raise RuntimeError("it is not there")
        return "flagged"
    sh("git update-index --skip-worktree omk.yaml")


@chain
def by_the_slots_place_in_git(mark):
    return kept_in(sh("git rev-parse --git-dir").strip() + "/mark", mark)


@chain
def by_an_ignored_file(mark):
    return kept_in(os.getcwd() + "/target/mark", mark)


@chain
def by_a_directory_that_is_a_repository(mark):
    # Cleaning up spares what looks like another repository.
    if mark:
        sh("git init -q target/nested")
    return kept_in(os.getcwd() + "/target/nested/mark", mark)


@chain
def by_an_unreadable_directory(mark):
    path = os.getcwd() + "/target/closed"
    if mark is None:
        os.chmod(path, 0o700)
    kept = kept_in(path + "/mark", mark)
    if mark:
        os.chmod(path, 0)
    return kept


@chain
def by_a_name_with_a_newline(mark):
    return kept_in(os.getcwd() + "/target\nmark/a\nb", mark)


@chain
def by_an_attribute_of_the_slot(mark):
    if mark is None:
        return os.getxattr(".", "user.omk.mark")
    os.setxattr(".", "user.omk.mark", mark.encode())


@chain
def by_the_mode_of_the_slot(mark):
    if mark is None:
        if not os.stat(".").st_mode & stat.S_ISVTX:
            raise RuntimeError("it is as usual")
        return "sticky"
    os.chmod(".", 0o1755)


@chain
def by_an_attribute_of_a_tracked_file(mark):
    if mark is None:
        return os.getxattr("a.txt", "user.omk.mark")
    os.setxattr("a.txt", "user.omk.mark", mark.encode())


@chain
def by_an_attribute_of_a_tracked_directory(mark):
    if mark is None:
        return os.getxattr("docs", "user.omk.mark")
    os.setxattr("docs", "user.omk.mark", mark.encode())


@chain
def by_the_mode_of_a_tracked_file(mark):
    if mark is None:
        if os.stat("a.txt").st_mode & 0o7777 != 0o640:
            raise RuntimeError("it is as usual")
        return "seen"
    os.chmod("a.txt", 0o640)


@chain
def by_the_mode_of_a_tracked_directory(mark):
    if mark is None:
        if not os.stat("docs").st_mode & stat.S_ISVTX:
            raise RuntimeError("it is as usual")
        return "sticky"
    os.chmod("docs", 0o1755)


@chain
def by_the_times_of_a_tracked_file(mark):
    if mark is None:
        if os.stat("a.txt").st_mtime_ns != 1234567890123456789:
            raise RuntimeError("it is as usual")
        return "seen"
    os.utime("a.txt", ns=(1, 1234567890123456789))


@chain
def by_an_attribute_of_the_home(mark):
    if mark is None:
        return os.getxattr(os.environ["HOME"], "user.omk.mark")
    os.setxattr(os.environ["HOME"], "user.omk.mark", mark.encode())


def _flag(path, mark):
    """A flag of a directory or file, as chattr gives it."""
    flags = array.array("l", [0])
    file = os.open(path, os.O_RDONLY)
    fcntl.ioctl(file, 0x80086601, flags)
    if mark is None:
        if not flags[0] & 0x40:
            raise RuntimeError("it is as usual")
        return "no dump"
    flags[0] |= 0x40
    try:
        fcntl.ioctl(file, 0x40086602, flags)
    except OSError as error:
        # What stands for a request that is not known.
        raise PermissionError(errno.EPERM, "refused") if error.errno == errno.ENOTTY else error


@chain
def by_a_flag_of_the_slot(mark):
    return _flag(".", mark)


@chain
def by_a_flag_of_a_tracked_directory(mark):
    return _flag("docs", mark)


@chain
def by_a_flag_of_the_home(mark):
    return _flag(os.environ["HOME"], mark)


@chain
def by_the_mode_of_gits_own_file(mark):
    if mark is None:
        if os.stat(".git").st_mode & 0o7777 != 0o666:
            raise RuntimeError("it is as usual")
        return "seen"
    os.chmod(".git", 0o666)


@chain
def by_memory_of_system_v(mark):
    if mark is None:
        return call(29, 194, M["shm"] + 7, 0, 0o600)
    call(29, 194, M["shm"] + 7, 4096, 0o1600)


@chain
def by_a_queue_of_messages(mark):
    name = f"omk-{M['nonce']}-chain".encode()
    if mark is None:
        return call(240, 180, name, os.O_RDWR | os.O_NONBLOCK, 0, 0)
    call(240, 180, name, os.O_RDWR | os.O_CREAT, 0o600, struct.pack("qqqq", 0, 4, 64, 0) + bytes(32))


@chain
def by_a_key(mark):
    if mark is None:
        return call(249, 218, b"user", M["nonce"].encode(), 0, -4)
    call(248, 217, b"user", M["nonce"].encode(), b"x", 1, -4)


def _daemon(address):
    """Listens in a process that is meant to outlive its child."""
    listener = socket.socket(address[0])
    listener.bind(address[1])
    listener.listen()
    os.set_inheritable(listener.fileno(), True)
    subprocess.Popen(["setsid", "sleep", "60"], pass_fds=[listener.fileno()], stdin=subprocess.DEVNULL,
                     stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def _speaks(address):
    socket.socket(address[0]).connect(address[1])
    return "somebody listens"


@chain
def by_a_daemon_at_an_abstract_socket(mark):
    address = (socket.AF_UNIX, f"\0{M['nonce']}-chain")
    return _daemon(address) if mark else _speaks(address)


@chain
def by_a_daemon_at_a_port(mark):
    address = (socket.AF_INET, ("127.0.0.1", 20000 + M["shm"] % 10000))
    return _daemon(address) if mark else _speaks(address)


@chain
def by_a_daemon_at_a_socket_in_the_slot(mark):
    address = (socket.AF_UNIX, "target/s")
    if mark:
        os.makedirs("target", exist_ok=True)
    return _daemon(address) if mark else _speaks(address)


def _swapped(directory, mark):
    """A link to the outside in the place of a directory: what the next child writes there is written outside."""
    if mark is None:
        if os.path.islink(directory):
            return os.readlink(directory)
        # Whether or not it is seen as a link, this lands outside if it is one.
        write(directory + "/canary")
        os.unlink(directory + "/canary")
        raise RuntimeError("it is a directory")
    shutil.rmtree(directory)
    os.symlink(M["outside"] + "/chain", directory)


@chain
def by_a_link_swapped_into_a_cache(mark):
    return _swapped(os.environ["CARGO_HOME"] + "/linked", mark)


@chain
def by_a_link_swapped_into_a_cache_inside_a_cache(mark):
    return _swapped(os.environ["GOMODCACHE"], mark)


@chain
def by_a_link_swapped_into_the_temporary_directory(mark):
    if mark:
        os.makedirs(os.environ["TMPDIR"] + "/swapped", exist_ok=True)
    return _swapped(os.environ["TMPDIR"] + "/swapped", mark)
