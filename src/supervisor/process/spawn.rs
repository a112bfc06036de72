//! Starts a child by `posix_spawn`, the way that every system has.

use std::mem::MaybeUninit;
use std::os::fd::{AsRawFd, BorrowedFd, RawFd};
use std::sync::OnceLock;

use rustix::io::Errno;
use rustix::process::Pid;

use super::super::command::Command;
use super::pointers;

pub(super) fn spawn(command: &Command, stdio: [BorrowedFd<'_>; 3]) -> Result<Pid, Errno> {
    let actions = Actions::new(command, stdio)?;
    let attributes = Attributes::new()?;
    let (argv, envp) = (pointers(&command.argv), pointers(&command.envp));
    let mut pid = 0;
    // SAFETY: path, argv and envp are NUL-terminated strings in NULL-terminated arrays that
    // outlive the call; actions and attributes are initialised.
    check(unsafe {
        libc::posix_spawn(
            &raw mut pid,
            command.path.as_ptr(),
            &raw const actions.0,
            &raw const attributes.0,
            argv.as_ptr(),
            envp.as_ptr(),
        )
    })?;
    Pid::from_raw(pid).ok_or(Errno::CHILD)
}

fn check(result: i32) -> Result<(), Errno> {
    if result == 0 {
        Ok(())
    } else {
        Err(Errno::from_raw_os_error(result))
    }
}

/// What the child does between its creation and its program.
struct Actions(libc::posix_spawn_file_actions_t);

impl Actions {
    fn new(command: &Command, stdio: [BorrowedFd<'_>; 3]) -> Result<Self, Errno> {
        let mut raw = MaybeUninit::uninit();
        // SAFETY: init initialises what it is given.
        let mut actions = unsafe {
            check(libc::posix_spawn_file_actions_init(raw.as_mut_ptr()))?;
            Self(raw.assume_init())
        };
        if let Some(folder) = &command.folder {
            // SAFETY: the string outlives the call, which copies it.
            check(unsafe { add_chdir(&raw mut actions.0, folder.as_ptr()) })?;
        }
        for (target, source) in (0..).zip(stdio) {
            let raw = &raw mut actions.0;
            // SAFETY: actions are initialised; both numbers are valid descriptors.
            check(unsafe {
                libc::posix_spawn_file_actions_adddup2(raw, source.as_raw_fd(), target)
            })?;
        }
        actions.close_the_rest()?;
        Ok(actions)
    }

    /// No descriptor of the parent reaches the child, inheritable ones included.
    #[cfg(target_os = "linux")]
    fn close_the_rest(&mut self) -> Result<(), Errno> {
        type CloseFrom =
            unsafe extern "C" fn(*mut libc::posix_spawn_file_actions_t, RawFd) -> libc::c_int;
        static CLOSE_FROM: OnceLock<Option<CloseFrom>> = OnceLock::new();
        let close_from = CLOSE_FROM.get_or_init(|| {
            let name = c"posix_spawn_file_actions_addclosefrom_np";
            // SAFETY: the name is a C string; the symbol, where there is one (glibc 2.34), is a
            // function of this type.
            unsafe {
                let symbol = libc::dlsym(libc::RTLD_DEFAULT, name.as_ptr());
                (!symbol.is_null())
                    .then(|| std::mem::transmute::<*mut libc::c_void, CloseFrom>(symbol))
            }
        });
        if let Some(close_from) = close_from {
            // SAFETY: actions are initialised.
            return check(unsafe { close_from(&raw mut self.0, 3) });
        }
        for descriptor in inheritable() {
            // SAFETY: actions are initialised; closing a number that is not open is no error.
            check(unsafe { libc::posix_spawn_file_actions_addclose(&raw mut self.0, descriptor) })?;
        }
        Ok(())
    }

    #[cfg(not(target_os = "linux"))]
    #[expect(
        clippy::unnecessary_wraps,
        reason = "the attribute CLOEXEC_DEFAULT does it here"
    )]
    fn close_the_rest(&mut self) -> Result<(), Errno> {
        Ok(())
    }
}

impl Drop for Actions {
    fn drop(&mut self) {
        // SAFETY: actions are initialised, and not used afterwards.
        unsafe { libc::posix_spawn_file_actions_destroy(&raw mut self.0) };
    }
}

#[cfg(target_os = "linux")]
use libc::posix_spawn_file_actions_addchdir_np as add_chdir;

#[cfg(not(target_os = "linux"))]
unsafe extern "C" {
    #[link_name = "posix_spawn_file_actions_addchdir_np"]
    fn add_chdir(
        actions: *mut libc::posix_spawn_file_actions_t,
        path: *const std::ffi::c_char,
    ) -> libc::c_int;
}

/// The descriptors that a child would inherit.
#[cfg(target_os = "linux")]
fn inheritable() -> Vec<RawFd> {
    let Ok(entries) = std::fs::read_dir("/proc/self/fd") else {
        return Vec::new();
    };
    let numbers = entries.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok());
    let inherits = |descriptor: &RawFd| {
        // SAFETY: F_GETFD only looks a number up; one that is not open gives -1.
        let flags = unsafe { libc::fcntl(*descriptor, libc::F_GETFD) };
        *descriptor > 2 && flags >= 0 && flags & libc::FD_CLOEXEC == 0
    };
    numbers.filter(inherits).collect()
}

/// A session of its own, an empty signal mask, and default actions for SIGPIPE and SIGXFSZ, which
/// Python ignores.
struct Attributes(libc::posix_spawnattr_t);

impl Attributes {
    fn new() -> Result<Self, Errno> {
        #[cfg(target_os = "linux")]
        const SESSION: i32 = libc::POSIX_SPAWN_SETSID as i32;
        #[cfg(target_os = "macos")]
        const SESSION: i32 = 0x0400 | libc::POSIX_SPAWN_CLOEXEC_DEFAULT as i32;
        let flags = SESSION | libc::POSIX_SPAWN_SETSIGMASK | libc::POSIX_SPAWN_SETSIGDEF;
        let mut raw = MaybeUninit::uninit();
        let mut none = MaybeUninit::uninit();
        let mut defaults = MaybeUninit::uninit();
        // SAFETY: init and sigemptyset initialise what they are given before it is used.
        unsafe {
            check(libc::posix_spawnattr_init(raw.as_mut_ptr()))?;
            let mut attributes = Self(raw.assume_init());
            libc::sigemptyset(none.as_mut_ptr());
            libc::sigemptyset(defaults.as_mut_ptr());
            libc::sigaddset(defaults.as_mut_ptr(), libc::SIGPIPE);
            libc::sigaddset(defaults.as_mut_ptr(), libc::SIGXFSZ);
            let raw = &raw mut attributes.0;
            check(libc::posix_spawnattr_setsigmask(raw, none.as_ptr()))?;
            check(libc::posix_spawnattr_setsigdefault(raw, defaults.as_ptr()))?;
            check(libc::posix_spawnattr_setflags(
                raw,
                i16::try_from(flags).unwrap_or(0),
            ))?;
            Ok(attributes)
        }
    }
}

impl Drop for Attributes {
    fn drop(&mut self) {
        // SAFETY: attributes are initialised, and not used afterwards.
        unsafe { libc::posix_spawnattr_destroy(&raw mut self.0) };
    }
}
