# The kernel itself: devices, rights, namespaces, mounts, settings, interfaces. What would harm a machine that has no
# walls is asked for with arguments that make no sense: the kernel looks at rights first.


@answer("devices", "root")
def a_disk_gets_a_node_in_the_slot():
    os.mknod("disk", 0o600 | stat.S_IFBLK, os.makedev(7, 0))
    return "made"


@answer("devices", "root")
def a_terminal_gets_a_node_in_the_home():
    os.mknod(os.environ["HOME"] + "/tty", 0o600 | stat.S_IFCHR, os.makedev(4, 1))
    return "made"


@answer("devices", "root")
def the_kernels_memory_gets_a_node():
    os.mknod(os.environ["TMPDIR"] + "/mem", 0o600 | stat.S_IFCHR, os.makedev(1, 1))
    return "made"


@answer("devices", "some")
def a_disk_of_the_machine_is_opened_to_be_written():
    disks = [each for each in glob.glob("/dev/[svx]d[a-z]*") + glob.glob("/dev/vd*") + glob.glob("/dev/nvme*")
             + glob.glob("/dev/loop*")]
    with open("/proc/partitions") as file:
        there = len(file.readlines()) > 2
    if not disks and not there:
        raise NotHere("there is no disk")
    for disk in disks:
        os.close(os.open(disk, os.O_WRONLY))
        return disk
    raise RuntimeError("none is seen")


@answer("devices", "some")
def a_disk_of_the_machine_is_opened_to_be_read():
    disks = glob.glob("/dev/[svx]d[a-z]*") + glob.glob("/dev/vd*") + glob.glob("/dev/nvme*")
    for disk in disks:
        os.close(os.open(disk, os.O_RDONLY))
        return disk
    raise RuntimeError("none is seen")


@answer("devices", "root")
def the_kernels_log_is_read():
    os.read(os.open("/dev/kmsg", os.O_RDONLY | os.O_NONBLOCK), 4096)
    return "read"


@answer("devices", "root")
def the_kernels_log_is_written():
    os.close(os.open("/dev/kmsg", os.O_WRONLY))
    return "it could be"


@answer("devices", "some")
def the_memory_of_the_machine_is_opened():
    for path in ("/dev/mem", "/dev/port", "/proc/kcore"):
        try:
            os.close(os.open(path, os.O_RDONLY))
            return path
        except FileNotFoundError:
            pass
    raise RuntimeError("none is there")


@answer("devices", "root")
def a_console_is_opened():
    for path in ("/dev/console", "/dev/tty0", "/dev/tty1", "/dev/ttyS0"):
        try:
            os.close(os.open(path, os.O_WRONLY | os.O_NOCTTY | os.O_NONBLOCK))
            return path
        except FileNotFoundError:
            pass
    raise RuntimeError("none is there")


@answer("devices", "root")
def a_file_system_of_users_is_opened():
    for path in ("/dev/fuse", "/dev/net/tun", "/dev/loop-control", "/dev/kvm", "/dev/vhost-net"):
        try:
            os.close(os.open(path, os.O_RDWR))
            return path
        except FileNotFoundError:
            pass
    raise NotHere("none is there")


@attempt("terminals")
def a_terminal_of_the_user_is_written():
    os.write(os.open(M["terminal"], os.O_WRONLY | os.O_NOCTTY), M["name"].encode() + b"\n")


@answer("terminals", "some")
def input_is_pushed_into_a_terminal():
    terminal = os.open(M["terminal"], os.O_RDWR | os.O_NOCTTY)
    fcntl.ioctl(terminal, 0x540E, 1)  # TIOCSCTTY
    fcntl.ioctl(terminal, 0x5412, b"x")  # TIOCSTI
    return "pushed"


@answer("rights", "root")
def a_capability_is_in_force():
    with open("/proc/self/status") as file:
        sets = {line.split()[0]: int(line.split()[1], 16) for line in file if line.startswith("Cap")}
    # What Landlock leaves to root's children: owners, identities, signals, low ports.
    left = sets["CapEff:"] & ~(0 if M["sealed"] else 0b100_1111_1011)
    if not left:
        raise RuntimeError("none")
    return hex(left)


@answer("rights", "root")
def a_capability_can_be_had_by_executing():
    with open("/proc/self/status") as file:
        sets = {line.split()[0]: int(line.split()[1], 16) for line in file if line.startswith("Cap")}
    # Only root gains what the bounding set has.
    bound = 0 if os.getuid() and M["landlock"] else sets["CapBnd:"]
    left = (bound | sets["CapAmb:"] | sets["CapInh:"]) & ~(0 if M["sealed"] else 0b100_1111_1011)
    if not left:
        raise RuntimeError("none")
    return hex(left)


@answer("rights", "some")
def new_rights_can_be_had_by_executing():
    if call(157, 167, 39, 0, 0, 0, 0):  # PR_GET_NO_NEW_PRIVS
        raise RuntimeError("none")
    return "they can"


@answer("rights", "root")
def another_user_is_become():
    os.setresuid(12345, 12345, 12345)
    if M["landlock"]:
        raise RuntimeError("a user with fewer rights, inside the same walls")
    return os.getuid()


@attempt("rights", "some")
def a_set_user_id_program_runs():
    # Who looks from outside put it there: it would run as another user.
    done = subprocess.run([own("set-user-id"), "-c", "import os; os.utime('" + own() + "', (1, 1)) if os.geteuid() == 4321 else None"])
    raise RuntimeError(done)


@answer("private files", "root")
def a_file_of_another_user_is_read_by_root():
    with open(own("of-another")) as file:
        return file.read()


@answer("rights", "root")
def an_own_set_user_id_program_is_made_and_kept():
    shutil.copy("/bin/sh", "shell")
    os.chown("shell", 12345, 12345)
    os.chmod("shell", 0o4755)
    if os.statvfs("shell").f_flag & os.ST_NOSUID or M["landlock"]:
        raise RuntimeError("it means nothing here")
    return "it is kept"


@answer("namespaces")
def a_namespace_of_users_is_made():
    return begun(272, 97, 0x10000000)


@answer("namespaces")
def a_namespace_of_users_is_made_by_clone():
    pid = call(56, 220, 0x10000011, 0, 0, 0, 0)
    if pid == 0:
        os._exit(0)
    return pid


@answer("namespaces")
def a_namespace_of_users_is_made_by_the_newer_call():
    arguments = struct.pack("QQQQQQQQ", 0x10000000, 0, 0, 0, 17, 0, 0, 0)
    pid = call(435, 435, arguments, len(arguments))
    if pid == 0:
        os._exit(0)
    return pid


@answer("namespaces", "root")
def a_namespace_of_mounts_is_made():
    return begun(272, 97, 0x00020000)


@answer("namespaces", "root")
def a_namespace_of_the_network_is_made():
    return begun(272, 97, 0x40000000)


@answer("namespaces", "root")
def a_namespace_of_processes_is_made():
    return begun(272, 97, 0x20000000)


@answer("namespaces", "root")
def a_namespace_of_time_is_made():
    return begun(272, 97, 0x00000080)


@answer("namespaces", "root")
def the_namespace_of_the_first_process_is_entered():
    return begun(308, 268, os.open(f"/proc/{M['first']}/ns/mnt", os.O_RDONLY), 0)


@answer("namespaces", "root")
def a_namespace_is_entered_by_a_process():
    return begun(308, 268, call(434, 434, os.getpid(), 0), 0x00020000)


@answer("namespaces", "some")
def the_parent_of_the_namespace_is_asked_for():
    file = os.open("/proc/self/ns/user", os.O_RDONLY)
    return call(16, 29, file, 0xB701, 0)  # NS_GET_USERNS


@answer("namespaces", "root")
def a_map_of_users_is_written():
    os.close(os.open("/proc/self/uid_map", os.O_WRONLY))
    return "opened"


@answer("mounts", "root")
def memory_is_mounted():
    return begun(165, 40, b"omk", b".", b"no-such-kind", 0, 0)


@answer("mounts", "root")
def a_directory_is_bound():
    return begun(165, 40, b"/no-such", b".", 0, 4096, 0)


@answer("mounts", "root")
def the_disk_is_made_writable_again():
    return begun(165, 40, b"", b"/no-such", 0, 4096 | 32, 0)


@answer("mounts", "root")
def what_hides_the_home_is_taken_away():
    return begun(166, 39, (M["user"] + "/no-such").encode(), 2)


@answer("mounts", "root")
def the_root_is_turned():
    return begun(155, 41, b"/no-such", b"/no-such")


@answer("mounts", "root")
def a_root_inside_is_taken_and_left():
    return begun(161, 51, b".")


@answer("mounts", "root")
def a_kind_of_file_system_is_opened():
    return begun(430, 430, b"no-such-kind", 0)


@answer("mounts", "root")
def a_tree_is_cloned():
    return begun(428, 428, -100, b".", 1)


@answer("mounts")
def a_tree_is_opened_without_cloning():
    # It gives no more than a path does; it is one of the calls that no build needs.
    return begun(428, 428, -100, b".", 0)


@answer("mounts", "root")
def a_tree_is_moved():
    return begun(429, 429, -100, b"/no-such", -100, b"/no-such", 0)


@answer("mounts", "root")
def a_mount_is_made_writable():
    return begun(442, 442, -100, b"/no-such", 0, struct.pack("QQQQ", 0, 1, 0, 0), 32)


@answer("mounts", "root")
def a_new_mount_is_had_from_nothing():
    return begun(432, 432, -1, 0, 0)


@answer("mounts", "root")
def an_old_mount_is_picked():
    return begun(433, 433, -100, b"/no-such", 0)


@answer("mounts", "root")
def the_newest_tree_call_clones():
    return begun(467, 467, -100, b".", 1, 0, 0)


def _setting(path):
    if not os.path.exists(path) and not M["sealed"]:
        raise NotHere(path)
    os.close(os.open(path, os.O_WRONLY))
    return "it can be written"


@answer("kernel settings", "root")
def the_pattern_of_core_dumps_can_be_written():
    return _setting("/proc/sys/kernel/core_pattern")


@answer("kernel settings", "root")
def the_loader_of_modules_can_be_written():
    return _setting("/proc/sys/kernel/modprobe")


@answer("kernel settings", "root")
def the_number_of_processes_can_be_written():
    return _setting("/proc/sys/kernel/pid_max")


@answer("kernel settings", "root")
def the_forwarding_of_packets_can_be_written():
    return _setting("/proc/sys/net/ipv4/ip_forward")


@answer("kernel settings", "root")
def the_use_of_memory_can_be_written():
    return _setting("/proc/sys/vm/overcommit_memory")


@answer("kernel settings", "some")
def the_number_of_namespaces_can_be_written():
    return _setting("/proc/sys/user/max_user_namespaces")


@answer("kernel settings", "root")
def the_magic_key_can_be_written():
    return _setting("/proc/sysrq-trigger")


@answer("kernel settings", "root")
def the_helper_of_devices_can_be_written():
    return _setting("/sys/kernel/uevent_helper")


@answer("kernel settings", "root")
def a_device_can_be_told_of():
    return _setting("/sys/class/net/lo/uevent")


@answer("kernel settings", "root")
def the_state_of_power_can_be_written():
    return _setting("/sys/power/state")


@answer("kernel settings", "root")
def a_release_agent_can_be_written():
    found = glob.glob("/sys/fs/cgroup/**/release_agent", recursive=True)
    return _setting((found or ["/sys/fs/cgroup/release_agent"])[0])


@answer("kernel settings", "root")
def a_cgroup_is_made():
    for place in glob.glob("/sys/fs/cgroup/*/"):
        try:
            os.mkdir(place + "omk-attempt")
            os.rmdir(place + "omk-attempt")
            return place
        except OSError as reason:
            refused = reason
    raise RuntimeError("nowhere")


@answer("kernel settings", "root")
def an_interrupt_can_be_moved():
    return _setting("/proc/irq/default_smp_affinity")


@answer("kernel settings", "root")
def a_register_of_memory_types_can_be_written():
    return _setting("/proc/mtrr")


@answer("kernel settings", "root")
def a_kind_of_program_can_be_registered():
    return _setting("/proc/sys/fs/binfmt_misc/register")


@answer("kernel settings", "root")
def the_bugs_of_the_kernel_can_be_traced():
    return _setting("/sys/kernel/debug/tracing/trace")


@answer("kernel interfaces", "root")
def a_program_is_loaded_into_the_kernel():
    return begun(321, 280, 0, struct.pack("IIIII", 2, 4, 8, 1, 0) + bytes(108), 128)


@answer("kernel interfaces")
def a_ring_is_set_up():
    return begun(425, 425, 1, bytes(120))


@answer("kernel interfaces")
def a_ring_is_entered():
    return begun(426, 426, -1, 0, 0, 0, 0, 0)


@answer("kernel interfaces")
def keys_are_listed():
    return begun(250, 219, 0, -3, 0, 0, 0)


@answer("kernel interfaces")
def a_key_is_added():
    return begun(248, 217, b"user", b"omk-attempt", b"x", 1, -1)


@answer("kernel interfaces")
def a_key_is_asked_for():
    return begun(249, 218, b"user", b"omk-no-such-key", 0, 0)


@answer("kernel interfaces")
def faults_are_handled_by_a_program():
    return begun(323, 282, 1)


@answer("kernel interfaces", "root")
def the_kernel_is_measured():
    return begun(298, 241, struct.pack("IIQ", 1, 128, 0) + bytes(112), 0, -1, -1, 0)


@answer("kernel interfaces", "root")
def a_module_is_loaded():
    return begun(175, 105, 0, 0, b"")


@answer("kernel interfaces", "root")
def a_module_is_loaded_from_a_file():
    return begun(313, 273, -1, b"", 0)


@answer("kernel interfaces", "root")
def a_module_is_removed():
    return begun(176, 106, b"omk_no_such_module", 0o4000)


@answer("kernel interfaces", "root")
def another_kernel_is_loaded():
    return begun(246, 104, 0, 99, 0, 0)


@answer("kernel interfaces", "root")
def the_machine_is_restarted():
    return begun(169, 142, 1, 2, 3, 0)


@answer("kernel interfaces", "root")
def memory_is_swapped_to_a_file():
    return begun(167, 224, b"/no-such", 0)


@answer("kernel interfaces", "root")
def swapping_is_stopped():
    return begun(168, 225, b"/no-such")


@answer("kernel interfaces", "root")
def the_clock_is_set():
    # To no time, in a time zone that is none.
    return begun(164, 170, 0, struct.pack("ii", 10000, 0))


@answer("kernel interfaces", "root")
def the_clock_is_made_faster():
    # By a tick of no length: ADJ_TICK.
    return begun(159, 171, struct.pack("I", 0x4000) + bytes(300))


@answer("kernel interfaces", "root")
def a_clock_by_number_is_made_faster():
    return begun(305, 266, 0, struct.pack("I", 0x4000) + bytes(300))


@answer("kernel interfaces", "root")
def the_machine_gets_another_name():
    return begun(170, 161, b"x", 65)


@answer("kernel interfaces", "root")
def the_domain_gets_another_name():
    return begun(171, 162, b"x", 65)


@answer("kernel interfaces", "root")
def ports_of_the_machine_are_had():
    return begun(172, None, 3)


@answer("kernel interfaces", "root")
def a_range_of_ports_is_had():
    return begun(173, None, 0x80, 1, 1)


@answer("kernel interfaces", "root")
def the_log_is_read_by_a_call():
    return begun(103, 116, 3, ctypes.create_string_buffer(64), 64)


@answer("kernel interfaces", "root")
def accounting_is_turned_on():
    return begun(163, 89, b"/no-such")


@answer("kernel interfaces", "root")
def all_files_are_watched():
    return begun(300, 262, 0x0, 0)


@answer("kernel interfaces", "root")
def pages_of_another_process_are_moved():
    # None is moved: no page is named.
    return begun(279, 239, M["first"], 0, 0, 0, 0, 0)


@answer("32-bit calls")
def a_call_of_32_bits_is_made():
    if not X86:
        raise NotHere("another architecture")
    # mov eax, 20; int 0x80; ret: who am I?
    code = mmap.mmap(-1, 4096, prot=mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC)
    code.write(b"\xb8\x14\x00\x00\x00\xcd\x80\xc3")
    at = ctypes.addressof(ctypes.c_char.from_buffer(code))
    said = ctypes.CFUNCTYPE(ctypes.c_int)(at)()
    if said != os.getpid():
        raise NotHere("this kernel knows none")
    return said


@answer("32-bit calls", "some")
def a_call_of_the_other_32_bits_is_made():
    if not X86:
        raise NotHere("another architecture")
    try:
        return call(0x40000000 + 39, None)
    except OSError as reason:
        raise RuntimeError(reason) if M["landlock"] else NotHere("this kernel knows none")


@answer("descriptors", "some")
def a_descriptor_was_inherited():
    found = {each: os.readlink(f"/proc/self/fd/{each}") for each in os.listdir("/proc/self/fd")
             if int(each) > 2 and os.path.exists(f"/proc/self/fd/{each}")}
    ours = [path for path in found.values() if M["outside"] in path or "inherited" in path]
    if not ours:
        raise RuntimeError("none of outside")
    return ours


@answer("core dumps", "some")
def a_core_dump_can_be_large():
    import resource
    resource.setrlimit(resource.RLIMIT_CORE, (1 << 20, 1 << 20))
    return "it can"


@answer("core dumps", "some")
def a_core_dump_is_written_outside():
    # By a pattern that this machine may have; the limit is what keeps it.
    import resource
    if resource.getrlimit(resource.RLIMIT_CORE)[1] <= 1:
        raise RuntimeError("none is written")
    return "it would be"
