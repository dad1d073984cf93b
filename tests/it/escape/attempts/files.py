# Writing outside: what is in files, and what is known about them.


@attempt("contents")
def a_file_outside_is_overwritten():
    write(own())


@attempt("contents")
def a_file_outside_is_truncated_by_name():
    os.truncate(own(), 0)


@attempt("contents")
def a_file_outside_is_truncated_as_it_is_opened():
    os.close(os.open(own(), os.O_RDONLY | os.O_TRUNC))


@attempt("contents")
def a_file_outside_is_appended_to():
    os.write(os.open(own(), os.O_WRONLY | os.O_APPEND), b"dead")


@attempt("contents")
def a_file_outside_is_written_through_a_map():
    file = os.open(own(), os.O_RDWR)
    mmap.mmap(file, 4)[:4] = b"dead"


@attempt("contents")
def a_file_outside_is_written_by_a_second_opening_of_a_reader():
    file = os.open(own(), os.O_RDONLY)
    os.write(os.open(f"/proc/self/fd/{file}", os.O_WRONLY), b"dead")


@attempt("contents")
def a_hole_is_punched_outside():
    file = os.open(own(), os.O_RDWR)
    if LIBC.fallocate(file, 3, ctypes.c_long(0), ctypes.c_long(4)):
        raise OSError(ctypes.get_errno(), "fallocate")


@attempt("contents")
def a_file_outside_is_copied_over_inside_the_kernel():
    write("dead.txt", "dead")
    into = os.open(own(), os.O_WRONLY)
    os.copy_file_range(os.open("dead.txt", os.O_RDONLY), into, 4)


@attempt("contents")
def a_file_is_made_outside():
    write(own("more"))


@attempt("contents")
def a_file_without_a_name_gets_one_outside():
    directory = own("")
    file = os.open(directory, os.O_TMPFILE | os.O_RDWR)
    # With the link followed: AT_SYMLINK_FOLLOW.
    call(265, 37, -100, f"/proc/self/fd/{file}".encode(), -100, (directory + "more").encode(), 0x400)


@attempt("contents")
def a_directory_is_made_outside():
    os.mkdir(own("more"))


@attempt("contents")
def a_link_is_made_outside():
    os.symlink("/", own("more"))


@attempt("contents")
def a_fifo_is_made_outside():
    os.mkfifo(own("more"))


@attempt("contents")
def a_socket_is_made_outside():
    # Names of sockets are short: 107 bytes.
    os.chdir(own(""))
    socket.socket(socket.AF_UNIX).bind("more")


@attempt("contents")
def a_file_outside_is_removed():
    os.unlink(own())


@attempt("contents")
def a_directory_outside_is_removed():
    os.rmdir(own("empty"))


@attempt("contents")
def a_file_outside_is_renamed():
    os.rename(own(), own("more"))


@attempt("contents")
def a_file_outside_is_moved_into_the_slot():
    os.rename(own(), "moved")


@attempt("contents")
def a_file_of_the_slot_is_moved_outside():
    write("to-be-moved")
    os.rename("to-be-moved", own("more"))


@attempt("contents")
def two_files_outside_are_exchanged():
    a, b = own(), own("secret")
    call(316, 276, -100, a.encode(), -100, b.encode(), 2)


@attempt("contents")
def a_link_to_a_file_outside_is_written_through():
    os.symlink(own(), "way-out")
    write("way-out")


@attempt("contents")
def a_directory_outside_is_written_through_a_link():
    os.symlink(own(""), "way-into")
    write("way-into/more")


@attempt("contents")
def a_second_name_of_a_file_outside_is_made_in_the_slot_and_written():
    os.link(own(), "second")
    write("second")


@attempt("contents")
def a_file_of_the_slot_gets_a_second_name_outside():
    write("first", "mine")
    os.link("first", own("more"))


@attempt("contents")
def a_directory_descriptor_is_walked_up_from_the_slot():
    slot = os.open(".", os.O_PATH)
    up = os.path.relpath(own(), ".")
    os.write(os.open(up, os.O_WRONLY | os.O_TRUNC, dir_fd=slot), b"dead")


@attempt("contents")
def a_file_is_reached_through_the_root_of_a_process():
    write("/proc/self/root" + own())


@attempt("contents")
def a_file_is_reached_through_the_root_of_the_first_process():
    write(f"/proc/{M['first']}/root" + own())


@attempt("contents")
def a_file_is_reached_through_the_directory_of_the_parent():
    write(f"/proc/{os.getppid()}/root" + own())


@attempt("contents", "root")
def a_file_is_reached_by_its_handle():
    path = own().encode()
    handle = ctypes.create_string_buffer(struct.pack("Ii", 128, 0) + bytes(128))
    mount = ctypes.c_int()
    call(303, 264, -100, path, handle, ctypes.byref(mount), 0)
    root = os.open("/", os.O_RDONLY)
    file = call(304, 265, root, handle, os.O_WRONLY)
    os.write(file, b"dead")


@attempt("contents")
def a_name_with_a_newline_is_made_outside():
    write(own("two\nlines"))


@attempt("contents", "some")
def a_loop_of_renames_races_a_check_of_the_path():
    target = own("")
    os.mkdir("real")
    os.symlink(target, "fake")
    pid = os.fork()
    if pid == 0:
        for _ in range(2000):
            call(316, 276, -100, b"real", -100, b"fake", 2)
        os._exit(0)
    for _ in range(2000):
        try:
            write("real/more")
        except OSError:
            pass
    os.waitpid(pid, 0)


@attempt("metadata")
def the_mode_of_a_file_outside_is_changed():
    os.chmod(own(), 0o777)


@attempt("metadata")
def the_mode_of_a_file_outside_is_changed_by_descriptor():
    os.fchmod(os.open(own(), os.O_RDONLY), 0o777)


@attempt("metadata")
def the_mode_is_changed_through_a_link_in_proc():
    file = os.open(own(), os.O_PATH)
    os.chmod(f"/proc/self/fd/{file}", 0o777)


@attempt("metadata")
def the_mode_of_a_directory_outside_is_changed():
    os.chmod(own("empty"), 0o777)


@attempt("metadata")
def a_set_user_id_bit_is_set_outside():
    os.chmod(own(), 0o4755)


@attempt("metadata", "root")
def the_owner_of_a_file_outside_is_changed():
    os.chown(own(), 12345, 12345)


@attempt("metadata", "root")
def the_owner_of_a_link_outside_is_changed():
    os.lchown(own("link"), 12345, 12345)


@attempt("metadata")
def the_times_of_a_file_outside_are_changed():
    os.utime(own(), (1, 1))


@attempt("metadata")
def the_times_are_changed_by_descriptor():
    os.utime(os.open(own(), os.O_RDONLY), (1, 1))


@attempt("metadata")
def an_attribute_is_set_outside():
    os.setxattr(own(), "user.omk", b"dead")


@attempt("metadata")
def an_attribute_is_set_by_descriptor():
    os.setxattr(os.open(own(), os.O_RDONLY), "user.omk", b"dead")


@attempt("metadata")
def an_attribute_is_removed_outside():
    os.removexattr(own(), "user.mark")


@attempt("metadata", "root")
def a_capability_is_given_to_a_file_outside():
    os.setxattr(own(), "security.capability",
                struct.pack("<IIIII", 0x02000001, 0x3FFF, 0, 0, 0))


@attempt("metadata", "root")
def a_file_outside_is_made_immutable():
    # FS_IOC_SETFLAGS with FS_APPEND_FL.
    file = os.open(own(), os.O_RDONLY)
    fcntl.ioctl(file, 0x40086602, array.array("l", [0x20]))


@attempt("metadata")
def a_file_outside_loses_its_no_dump_flag():
    file = os.open(own(), os.O_RDONLY)
    fcntl.ioctl(file, 0x40086602, array.array("l", [0x40]))


@attempt("metadata", "root")
def an_access_list_is_set_outside():
    entries = struct.pack("<I", 2) + b"".join(
        struct.pack("<HHI", *each) for each in [(1, 6, 2**32 - 1), (2, 7, 12345), (4, 4, 2**32 - 1), (16, 7, 2**32 - 1), (32, 4, 2**32 - 1)])
    os.setxattr(own(), "system.posix_acl_access", entries)


