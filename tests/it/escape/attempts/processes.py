# Touching processes outside: how they run, and whether.


@attempt("processes touched")
def a_process_is_killed():
    os.kill(victim(), signal.SIGKILL)


@attempt("processes touched")
def a_process_is_stopped():
    os.kill(victim(), signal.SIGSTOP)


@attempt("processes touched")
def a_thread_is_killed():
    call(234, 131, victim(), victim(), 9)


@attempt("processes touched")
def a_process_is_killed_by_descriptor():
    call(424, 424, call(434, 434, victim(), 0), 9, 0, 0)


@attempt("processes touched")
def a_process_gets_a_queued_signal():
    call(129, 138, victim(), 9, struct.pack("iiii", 9, 0, -1, 0) + bytes(112))


@attempt("processes touched")
def a_process_group_is_killed():
    os.killpg(victim(), signal.SIGKILL)


@attempt("processes touched")
def a_process_is_killed_by_an_owner_of_a_descriptor():
    a, b = socket.socketpair()
    fcntl.fcntl(a, 10, 9)  # F_SETSIG: SIGKILL when something comes
    fcntl.fcntl(a, fcntl.F_SETOWN, victim())
    fcntl.fcntl(a, fcntl.F_SETFL, os.O_ASYNC | os.O_NONBLOCK)
    b.send(b"x")
    time.sleep(0.05)


@attempt("limits of processes")
def the_limit_of_files_of_a_process_is_set():
    call(302, 261, victim(), 7, struct.pack("QQ", 3, 3), 0)


@attempt("limits of processes")
def the_limit_of_time_of_a_process_is_set():
    call(302, 261, victim(), 0, struct.pack("QQ", 1, 1), 0)


@attempt("limits of processes")
def the_limit_of_sizes_of_a_process_is_set():
    call(302, 261, victim(), 1, struct.pack("QQ", 0, 0), 0)


@answer("limits of processes")
def the_limits_of_the_first_process_are_set():
    return call(302, 261, M["first"], 7, struct.pack("QQ", 1000, 1000), 0)


@attempt("scheduling of processes")
def a_process_becomes_nice():
    os.setpriority(os.PRIO_PROCESS, victim(), 19)


@attempt("scheduling of processes")
def a_process_becomes_idle():
    os.sched_setscheduler(victim(), os.SCHED_IDLE, os.sched_param(0))


@attempt("scheduling of processes")
def a_process_is_bound_to_a_processor():
    os.sched_setaffinity(victim(), {0})


@attempt("scheduling of processes")
def a_process_waits_last_for_the_disk():
    # The class "idle", for a process.
    if call(251, 30, 1, victim(), 3 << 13) == 0:
        return "set"


@attempt("scheduling of processes")
def a_process_is_killed_first_when_memory_runs_out():
    write(f"/proc/{victim()}/oom_score_adj", "1000")


@answer("scheduling of processes", "some")
def the_timer_slack_of_a_process_is_set():
    write(f"/proc/{victim()}/timerslack_ns", "1000000")
    return "set"


@attempt("scheduling of processes")
def all_processes_of_the_user_become_nice():
    # Where all others of the machine would become slow, too, one of them stands for all.
    if M["sealed"]:
        os.setpriority(os.PRIO_USER, os.getuid(), 19)
    else:
        os.setpriority(os.PRIO_PROCESS, victim(), 18)


@answer("scheduling of processes")
def the_pages_of_a_process_are_cleared():
    write(f"/proc/{victim()}/clear_refs", "1")
    return "cleared"


@attempt("daemons", "some")
def a_daemon_writes_after_the_end():
    # The file is made when all attempts are over. Without a room, too, the shepherd ends it.
    wait = f"while ! test -e {own('over')}; do sleep 0.1; done; echo dead > {own()}"
    subprocess.Popen(["sh", "-c", f"setsid sh -c '{wait}' &"], stdin=subprocess.DEVNULL,
                     stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True)


@answer("resources", "some")
def the_limit_of_locked_memory_is_raised():
    hard = struct.pack("QQ", 2**64 - 1, 2**64 - 1)
    before = ctypes.create_string_buffer(16)
    call(302, 261, 0, 8, 0, before)
    if struct.unpack("QQ", before.raw)[1] == 2**64 - 1:
        raise NotHere("there is no limit")
    return call(302, 261, 0, 8, hard, 0)


@answer("resources", "root")
def a_priority_over_all_others_is_taken():
    os.setpriority(os.PRIO_PROCESS, 0, -20)
    return "taken"


@answer("resources", "root")
def a_real_time_priority_is_taken():
    os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(1))
    os.sched_setscheduler(0, os.SCHED_OTHER, os.sched_param(0))
    return "taken"


@answer("resources", "some")
def the_memory_killer_is_kept_from_the_own_process():
    write("/proc/self/oom_score_adj", "-1000")
    return "kept"


@answer("resources", "root")
def a_process_moves_to_another_cgroup():
    places = [path for path in glob.glob("/sys/fs/cgroup/**/cgroup.procs", recursive=True)]
    if not places:
        raise NotHere("there are no cgroups")
    for path in places:
        os.close(os.open(path, os.O_WRONLY))
        return f"{path} can be written"
