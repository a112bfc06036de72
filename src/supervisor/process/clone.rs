//! Starts a child inside a control group.
//!
//! `posix_spawn` can do that from glibc 2.39 on only, and a child that is moved once it runs may
//! have forked before. So it is born there, by `clone3` (Linux 5.7). As with `vfork` it shares the
//! program's memory, and this thread sleeps, until it executes its own program: that costs the
//! same however large the program is. Up to then it makes system calls and nothing else, on a
//! stack of its own.

use std::arch::asm;
use std::ffi::{CStr, c_char};
use std::mem::MaybeUninit;
use std::os::fd::{AsRawFd, BorrowedFd, RawFd};
use std::ptr;

use rustix::io::Errno;
use rustix::process::Pid;

use super::super::command::Command;

const CLONE_CLEAR_SIGHAND: u64 = 1 << 32;
const CLONE_INTO_CGROUP: u64 = 1 << 33;

/// The child's stack, in words of 16 bytes.
const STACK: usize = 4096;

/// `struct clone_args` with the fields up to the last that is used here.
#[repr(C)]
#[derive(Default)]
struct CloneArgs {
    flags: u64,
    others: [u64; 3],
    exit_signal: u64,
    stack: u64,
    stack_size: u64,
    more: [u64; 3],
    cgroup: u64,
}

/// What the child needs, and what it leaves.
struct Birth {
    path: *const c_char,
    argv: *const *mut c_char,
    envp: *const *mut c_char,
    folder: *const c_char,
    stdio: [RawFd; 3],
    /// Why there is no program.
    errno: Option<Errno>,
}

/// What a child does first, and last.
type Entry = unsafe extern "C" fn(*mut Birth) -> !;

/// Starts a command as [`super::spawn`] does, but inside a group. `None` where the system
/// does not start anything in there.
pub(super) fn spawn(
    command: &Command,
    stdio: [BorrowedFd<'_>; 3],
    group: BorrowedFd<'_>,
) -> Option<Result<Pid, Errno>> {
    let (argv, envp) = (
        super::pointers(&command.argv),
        super::pointers(&command.envp),
    );
    let mut birth = Birth {
        path: command.path.as_ptr(),
        argv: argv.as_ptr(),
        envp: envp.as_ptr(),
        folder: command.folder.as_deref().map_or(ptr::null(), CStr::as_ptr),
        stdio: stdio.map(|descriptor| descriptor.as_raw_fd()),
        errno: None,
    };
    // SAFETY: all that the birth points to outlives the call, which returns when the child no
    // longer looks at it.
    let pid = unsafe { give_birth(group, libc::SIGCHLD, execute, &mut birth) }?;
    let Some(errno) = birth.errno else {
        return Some(Ok(pid));
    };
    reap(pid);
    // The oldest kernels that can start in a group cannot close what the child must not have.
    (errno != Errno::NOSYS).then_some(Err(errno))
}

/// Whether the system lets this program start children in a group.
///
/// The child that tries it ends at once, and no signal tells anybody.
pub(super) fn is_possible(group: BorrowedFd<'_>) -> bool {
    let mut birth = Birth {
        path: ptr::null(),
        argv: ptr::null(),
        envp: ptr::null(),
        folder: ptr::null(),
        stdio: [-1; 3],
        errno: None,
    };
    // SAFETY: the child looks at nothing.
    let pid = unsafe { give_birth(group, 0, leave, &mut birth) };
    pid.map(reap).is_some()
}

/// Waits for a child that is dead, or is just about to be.
fn reap(pid: Pid) {
    let pid = pid.as_raw_nonzero().get();
    // SAFETY: null is allowed for a status that nobody wants.
    while unsafe { libc::waitpid(pid, ptr::null_mut(), libc::__WALL) } < 0
        && super::last_errno() == Errno::INTR
    {}
}

/// # Safety
///
/// `entry` is run with `birth`, beside this program and in its memory.
unsafe fn give_birth(
    group: BorrowedFd<'_>,
    exit_signal: i32,
    entry: Entry,
    birth: &mut Birth,
) -> Option<Pid> {
    let mut stack = vec![0_u128; STACK];
    let flags = libc::CLONE_VM | libc::CLONE_VFORK;
    let args = CloneArgs {
        flags: u64::from(flags.unsigned_abs()) | CLONE_CLEAR_SIGHAND | CLONE_INTO_CGROUP,
        exit_signal: exit_signal.unsigned_abs().into(),
        stack: stack.as_mut_ptr().addr() as u64,
        stack_size: size_of_val(stack.as_slice()) as u64,
        cgroup: group.as_raw_fd().unsigned_abs().into(),
        ..CloneArgs::default()
    };
    // SAFETY: the child has a stack of its own, which outlives it, as `birth` does: this thread
    // goes on only when the child has executed its program or ended.
    let pid = unsafe { clone3(&args, entry, birth) };
    Pid::from_raw(i32::try_from(pid).unwrap_or(-1).max(0))
}

/// The system call, after which the child calls `entry(birth)`. Returns its number, or a negative
/// error.
///
/// # Safety
///
/// `args` name a stack, and `entry` is sound in the memory of this program.
#[cfg(target_arch = "x86_64")]
unsafe fn clone3(args: &CloneArgs, entry: Entry, birth: *mut Birth) -> i64 {
    let result;
    // SAFETY: the kernel keeps all registers but rax, rcx and r11 in both processes. The child has
    // an empty, aligned stack, from which it never returns; the parent's is not touched.
    unsafe {
        asm!(
            "syscall",
            "test rax, rax",
            "jnz 2f",
            "xor ebp, ebp",
            "mov rdi, {birth}",
            "call {entry}",
            "ud2",
            "2:",
            birth = in(reg) birth,
            entry = in(reg) entry,
            inlateout("rax") libc::SYS_clone3 => result,
            in("rdi") ptr::from_ref(args),
            in("rsi") size_of::<CloneArgs>(),
            out("rcx") _,
            out("r11") _,
        );
    }
    result
}

/// The same.
///
/// # Safety
///
/// As above.
#[cfg(target_arch = "aarch64")]
unsafe fn clone3(args: &CloneArgs, entry: Entry, birth: *mut Birth) -> i64 {
    let result;
    // SAFETY: the kernel keeps all registers but x0 in both processes. The child has an empty,
    // aligned stack, from which it never returns; the parent's is not touched.
    unsafe {
        asm!(
            "svc #0",
            "cbnz x0, 2f",
            "mov x29, xzr",
            "mov x0, {birth}",
            "blr {entry}",
            "brk #1",
            "2:",
            birth = in(reg) birth,
            entry = in(reg) entry,
            in("x8") libc::SYS_clone3,
            inlateout("x0") ptr::from_ref(args) => result,
            in("x1") size_of::<CloneArgs>(),
        );
    }
    result
}

/// The child that only tries.
unsafe extern "C" fn leave(_birth: *mut Birth) -> ! {
    // SAFETY: _exit runs nothing of the program.
    unsafe { libc::_exit(0) }
}

/// The child from its birth to its program. Its signal handlers were removed, so that none of the
/// program's runs here.
unsafe extern "C" fn execute(birth: *mut Birth) -> ! {
    // SAFETY: the parent keeps the birth, and sleeps.
    unsafe {
        let birth = &mut *birth;
        birth.errno = Some(become_program(birth));
        libc::_exit(127)
    }
}

/// Returns only where that failed, and why.
unsafe fn become_program(birth: &Birth) -> Errno {
    // SAFETY: what the birth points to is valid, and these functions only wrap system calls.
    unsafe {
        libc::setsid();
        for signal in [libc::SIGPIPE, libc::SIGXFSZ] {
            libc::signal(signal, libc::SIG_DFL);
        }
        if !birth.folder.is_null() && libc::chdir(birth.folder) != 0 {
            return super::last_errno();
        }
        for (target, source) in (0..).zip(birth.stdio) {
            if libc::dup2(source, target) < 0 {
                return super::last_errno();
            }
        }
        if libc::syscall(libc::SYS_close_range, 3, u32::MAX, 0) != 0 {
            return super::last_errno();
        }
        let mut none = MaybeUninit::uninit();
        libc::sigemptyset(none.as_mut_ptr());
        libc::sigprocmask(libc::SIG_SETMASK, none.as_ptr(), ptr::null_mut());
        libc::execve(birth.path, birth.argv.cast(), birth.envp.cast());
        super::last_errno()
    }
}
