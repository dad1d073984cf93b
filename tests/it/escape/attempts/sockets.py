# Talking to services outside. A service outside writes down who spoke to it.


def _speak(family, kind, address, protocol=0):
    with socket.socket(family, kind, protocol) as speaker:
        speaker.settimeout(2)
        speaker.connect(address)
        speaker.send(M["name"].encode() + b"\n")
        time.sleep(0.02)


def _tcp(host, port):
    _speak(socket.AF_INET6 if ":" in host else socket.AF_INET, socket.SOCK_STREAM, (host, port))


def _near(path):
    # A name of a socket holds 107 bytes.
    os.chdir(os.path.dirname(path))
    return os.path.basename(path)


@attempt("sockets by name")
def a_socket_like_dockers_is_spoken_to():
    _speak(socket.AF_UNIX, socket.SOCK_STREAM, _near(M["sockets"] + "/docker.sock"))


@attempt("sockets by name")
def a_socket_like_an_ssh_agents_is_spoken_to():
    _speak(socket.AF_UNIX, socket.SOCK_STREAM, _near(M["sockets"] + "/agent.1"))


@attempt("sockets by name")
def a_socket_like_the_message_buss_is_spoken_to():
    _speak(socket.AF_UNIX, socket.SOCK_DGRAM, _near(M["sockets"] + "/bus"))


@attempt("sockets by name")
def a_socket_is_spoken_to_without_connecting():
    path = _near(M["sockets"] + "/bus")
    socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM).sendto(M["name"].encode() + b"\n", path)


@attempt("sockets by name")
def a_socket_is_spoken_to_through_a_link():
    os.symlink(M["sockets"] + "/docker.sock", "s")
    _speak(socket.AF_UNIX, socket.SOCK_STREAM, "s")


@attempt("sockets by name")
def a_socket_is_spoken_to_through_a_descriptor():
    file = os.open(M["sockets"] + "/docker.sock", os.O_PATH)
    _speak(socket.AF_UNIX, socket.SOCK_STREAM, f"/proc/self/fd/{file}")


@attempt("sockets by name")
def a_socket_that_was_renamed_is_spoken_to():
    _speak(socket.AF_UNIX, socket.SOCK_STREAM, _near(M["sockets"] + "/renamed"))


@attempt("sockets by name")
def a_socket_with_a_relative_name_is_spoken_to():
    _speak(socket.AF_UNIX, socket.SOCK_STREAM, _near(M["sockets"] + "/relative"))


@attempt("sockets by name")
def a_second_name_of_a_socket_is_spoken_to():
    _speak(socket.AF_UNIX, socket.SOCK_STREAM, _near(M["sockets"] + "/second"))


@attempt("sockets by name")
def a_socket_that_came_later_is_spoken_to():
    until = time.monotonic() + 2
    while time.monotonic() < until:
        for path in glob.glob(M["sockets"] + "/late-*"):
            try:
                return _speak(socket.AF_UNIX, socket.SOCK_STREAM, _near(path))
            except OSError as reason:
                refused = reason
        time.sleep(0.05)
    raise RuntimeError("there is none")


@attempt("sockets by name")
def a_socket_of_a_directory_of_everybody_is_spoken_to():
    _speak(socket.AF_UNIX, socket.SOCK_STREAM, M["tmp_socket"])


@attempt("sockets by name")
def a_pipe_of_a_service_is_written():
    file = os.open(M["sockets"] + "/pipe", os.O_WRONLY | os.O_NONBLOCK)
    os.write(file, M["name"].encode() + b"\n")


@attempt("abstract sockets")
def an_abstract_socket_is_spoken_to():
    _speak(socket.AF_UNIX, socket.SOCK_STREAM, "\0" + M["abstract"])


@attempt("abstract sockets")
def an_abstract_socket_of_datagrams_is_spoken_to():
    _speak(socket.AF_UNIX, socket.SOCK_DGRAM, "\0" + M["abstract"] + "-datagrams")


@attempt("abstract sockets")
def an_abstract_socket_is_spoken_to_without_connecting():
    name = "\0" + M["abstract"] + "-datagrams"
    socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM).sendto(M["name"].encode() + b"\n", name)


@attempt("a closed network")
def a_service_of_the_machine_is_spoken_to():
    _tcp("127.0.0.1", M["tcp"])


@attempt("a closed network")
def a_service_of_the_machine_is_spoken_to_by_another_address():
    _tcp("127.9.9.9", M["tcp_all"])


@attempt("a closed network")
def a_service_of_the_machine_is_spoken_to_by_no_address():
    _tcp("0.0.0.0", M["tcp_all"])


@attempt("a closed network")
def a_service_of_the_machine_is_spoken_to_by_ipv6():
    if not M["tcp6"]:
        raise NotHere("there is no IPv6")
    _tcp("::1", M["tcp6"])


@attempt("a closed network")
def a_service_of_the_machine_is_spoken_to_by_a_mapped_address():
    if not M["tcp6"]:
        raise NotHere("there is no IPv6")
    _tcp("::ffff:127.0.0.1", M["tcp_all"])


@attempt("a closed network")
def a_service_of_the_machine_is_spoken_to_by_its_own_address():
    if not M["address"]:
        raise NotHere("the machine has no address")
    _tcp(M["address"], M["tcp_all"])


@attempt("a closed network")
def a_service_is_spoken_to_by_datagrams():
    _speak(socket.AF_INET, socket.SOCK_DGRAM, ("127.0.0.1", M["udp"]))


@attempt("a closed network")
def a_service_is_spoken_to_by_datagrams_without_connecting():
    socket.socket(socket.AF_INET, socket.SOCK_DGRAM).sendto(M["name"].encode() + b"\n", ("127.0.0.1", M["udp"]))


@attempt("a closed network")
def a_service_is_spoken_to_by_datagrams_of_ipv6():
    if not M["tcp6"]:
        raise NotHere("there is no IPv6")
    _speak(socket.AF_INET6, socket.SOCK_DGRAM, ("::ffff:127.0.0.1", M["udp"]))


@attempt("a closed network")
def a_service_is_spoken_to_by_several_paths():
    try:
        speaker = socket.socket(socket.AF_INET, socket.SOCK_STREAM, 262)
    except OSError as reason:
        if reason.errno in WALLS:
            raise
        raise NotHere("there is no multipath TCP")
    speaker.connect(("127.0.0.1", M["tcp"]))
    speaker.send(M["name"].encode() + b"\n")
    time.sleep(0.02)


@attempt("a closed network")
def a_service_is_spoken_to_by_a_fast_open():
    speaker = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    speaker.sendto(M["name"].encode() + b"\n", 0x20000000, ("127.0.0.1", M["tcp"]))
    time.sleep(0.02)


@attempt("a closed network")
def a_service_is_spoken_to_by_a_fast_open_in_a_message():
    speaker = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    speaker.sendmsg([M["name"].encode() + b"\n"], [], 0x20000000, ("127.0.0.1", M["tcp"]))
    time.sleep(0.02)


@attempt("a closed network")
def a_service_is_spoken_to_by_a_deferred_connect():
    speaker = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    speaker.setsockopt(socket.IPPROTO_TCP, 30, 1)  # TCP_FASTOPEN_CONNECT
    speaker.connect(("127.0.0.1", M["tcp"]))
    speaker.send(M["name"].encode() + b"\n")
    time.sleep(0.02)


@attempt("a closed network")
def a_service_is_spoken_to_after_disconnecting():
    speaker = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    try:
        call(42, 203, speaker.fileno(), bytes(16), 16)  # AF_UNSPEC
    except OSError:
        pass
    speaker.connect(("127.0.0.1", M["tcp"]))
    speaker.send(M["name"].encode() + b"\n")
    time.sleep(0.02)


@answer("a closed network")
def a_socket_of_sctp_is_made():
    try:
        return socket.socket(socket.AF_INET, socket.SOCK_STREAM, 132).connect(("127.0.0.1", M["tcp"]))
    except OSError as reason:
        if reason.errno in (errno.EPROTONOSUPPORT, errno.ESOCKTNOSUPPORT):
            raise NotHere("there is no SCTP")
        raise


@answer("a closed network")
def a_name_is_looked_up_by_the_machines_resolver():
    # Whatever the answer: a question left.
    with open("/etc/resolv.conf") as file:
        servers = [line.split()[1] for line in file if line.startswith("nameserver")]
    if not servers:
        raise NotHere("the machine has no resolver")
    asker = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    asker.connect((servers[0], 53))
    return "it would have left"


@answer("a closed network")
def the_address_of_cloud_metadata_has_a_route():
    asker = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    try:
        asker.connect(("169.254.169.254", 80))
    except OSError as reason:
        if not M["routes"]:
            raise NotHere("the machine has no route")
        raise
    return "it has"


@answer("a closed network", "root")
def raw_packets_are_sent():
    return socket.socket(socket.AF_INET, socket.SOCK_RAW, 1).fileno()


@answer("a closed network", "root")
def all_packets_are_listened_to():
    return socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0).fileno()


@answer("network seen")
def the_interfaces_of_the_machine_are_seen():
    names = [name for _, name in socket.if_nameindex()]
    if M["interfaces"] == ["lo"]:
        raise NotHere("the machine has no network")
    if names == ["lo"]:
        raise RuntimeError("only its own")
    return names


@answer("network seen")
def the_connections_of_the_machine_are_listed():
    port = "%04X" % M["tcp"]
    with open("/proc/net/tcp") as file:
        if any(f":{port} " in line for line in file):
            return "listed"
    raise RuntimeError("not there")


@answer("a closed network", "root")
def a_route_is_set():
    speaker = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 0)
    # RTM_NEWLINK of an interface that is called like the attempt: a dummy, taken away at once.
    speaker.send(struct.pack("IHHII", 32, 17, 5, 1, 0) + struct.pack("BBHiII", 0, 0, 0, 999999, 0, 0))
    code = struct.unpack_from("i", speaker.recv(200), 16)[0]
    if -code in WALLS:
        raise OSError(-code, os.strerror(-code))
    return code


@answer("a closed network")
def a_virtual_machines_host_is_spoken_to():
    try:
        return socket.socket(40, socket.SOCK_STREAM).fileno()
    except OSError as reason:
        if reason.errno == errno.EAFNOSUPPORT:
            raise NotHere("there is none")
        raise


@answer("kernel interfaces")
def the_kernels_ciphers_are_used():
    try:
        return socket.socket(38, socket.SOCK_SEQPACKET).fileno()
    except OSError as reason:
        if reason.errno == errno.EAFNOSUPPORT:
            raise NotHere("there are none")
        raise


@attempt("shared memory")
def shared_memory_of_system_v_is_written():
    key = M["shm"]
    number = call(29, 194, key, 0, 0o600)
    LIBC.shmat.restype = ctypes.c_void_p
    at = LIBC.shmat(number, None, 0)
    ctypes.memmove(at, M["name"].encode() + b"\n", len(M["name"]) + 1)
    time.sleep(0.05)


@answer("shared memory")
def shared_memory_of_system_v_is_removed():
    number = call(29, 194, M["shm"] + 1, 0, 0o600)
    return call(31, 195, number, 0, 0)


@answer("shared memory")
def a_queue_of_system_v_is_written():
    number = call(68, 186, M["shm"], 0o600)
    return call(69, 189, number, struct.pack("q", 1) + b"dead", 4, 0)


@answer("shared memory")
def a_semaphore_of_system_v_is_changed():
    number = call(64, 190, M["shm"], 1, 0o600)
    return call(65, 193, number, struct.pack("Hhh", 0, 1, 0), 1)


@answer("shared memory")
def all_of_system_v_is_listed():
    with open("/proc/sysvipc/shm") as file:
        if any(str(M["shm"]) in line.split() for line in file):
            return "listed"
    raise RuntimeError("not there")


@answer("shared memory")
def a_queue_of_messages_is_written():
    # Of open the name has no slash: the C library takes it away.
    number = call(240, 180, M["queue"].encode(), os.O_WRONLY | os.O_NONBLOCK, 0, 0)
    return call(242, 182, number, b"dead", 4, 0, 0)


@attempt("shared memory")
def memory_in_dev_shm_is_written():
    write("/dev/shm/" + M["dev_shm"], M["name"] + "\n")


@attempt("shared memory")
def memory_in_dev_shm_is_read():
    read("/dev/shm/" + M["dev_shm"] + "-secret")
