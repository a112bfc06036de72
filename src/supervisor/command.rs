//! From a unit's description to what `posix_spawn` takes, with the errors that Python reports.
//!
//! Looks at files to find the executable; starts nothing.

use std::ffi::{CString, OsStr, OsString};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};

use rustix::fs::{Access, FileType};
use rustix::io::Errno;

use super::event::SpawnError;
use super::mark::{self, Mark};
use super::spec::UnitSpec;

/// The search path where the environment has none, as in Python's `os.defpath`.
const DEFAULT_PATH: &str = "/bin:/usr/bin";

/// A command in the form in which the system takes it.
#[derive(Debug)]
pub(super) struct Command {
    pub(super) path: CString,
    pub(super) argv: Vec<CString>,
    pub(super) envp: Vec<CString>,
    pub(super) folder: Option<CString>,
}

impl Command {
    /// Finds the executable as Python's `subprocess` does: in the `PATH` of the *given*
    /// environment, relative paths as seen from the child's folder.
    pub(super) fn prepare(spec: &UnitSpec, mark: Option<&Mark>) -> Result<Self, SpawnError> {
        let inherited;
        let variables = if let Some(variables) = &spec.env {
            variables
        } else {
            inherited = std::env::vars_os().collect::<Vec<_>>();
            &inherited
        };
        let folder = spec
            .working_dir
            .as_ref()
            .map(|folder| c_string(folder.as_os_str()));
        let folder = folder.transpose()?;
        let mut argv = Vec::with_capacity(spec.args.len() + 1);
        argv.push(c_string(&spec.program)?);
        for arg in &spec.args {
            argv.push(c_string(arg)?);
        }
        let envp = environment(variables, mark)?;
        let path = match find(spec, variables) {
            Ok(path) => path,
            Err(errno) => return Err(explain(errno, spec)),
        };
        Ok(Self {
            path: c_string(path.as_os_str())?,
            argv,
            envp,
            folder,
        })
    }
}

/// Says which part of a unit made the system refuse it.
pub(super) fn explain(errno: Errno, spec: &UnitSpec) -> SpawnError {
    if let Errno::MFILE | Errno::NFILE | Errno::AGAIN | Errno::NOMEM = errno {
        return SpawnError::Resources {
            errno: errno.raw_os_error(),
        };
    }
    // A child changes its folder before it executes, so a bad folder comes first.
    if let Some(folder) = &spec.working_dir
        && let Err(errno) = enter(folder)
    {
        let folder = folder.to_string_lossy().into_owned();
        return SpawnError::Folder {
            errno: errno.raw_os_error(),
            folder,
        };
    }
    let executable = spec.program.to_string_lossy().into_owned();
    SpawnError::Executable {
        errno: errno.raw_os_error(),
        executable,
    }
}

fn enter(folder: &Path) -> Result<(), Errno> {
    let stat = rustix::fs::stat(folder)?;
    if FileType::from_raw_mode(stat.st_mode) != FileType::Directory {
        return Err(Errno::NOTDIR);
    }
    rustix::fs::access(folder, Access::EXEC_OK)
}

fn find(spec: &UnitSpec, variables: &[(OsString, OsString)]) -> Result<PathBuf, Errno> {
    let program = Path::new(&spec.program);
    if spec.program.as_bytes().contains(&b'/') {
        return Ok(program.to_owned());
    }
    if spec.program.is_empty() {
        return Err(Errno::NOENT);
    }
    let path = variables.iter().rev().find(|(name, _)| name == "PATH");
    let path = path.map_or(OsStr::new(DEFAULT_PATH), |(_, value)| value);
    let mut refused = Errno::NOENT;
    for folder in path.as_bytes().split(|byte| *byte == b':') {
        let candidate = Path::new(OsStr::from_bytes(folder)).join(program);
        let seen_from_child = match &spec.working_dir {
            Some(folder) => folder.join(&candidate),
            None => candidate.clone(),
        };
        match executable(&seen_from_child) {
            Ok(()) => return Ok(candidate),
            Err(Errno::NOENT | Errno::NOTDIR) => {}
            Err(errno) => refused = errno,
        }
    }
    Err(refused)
}

fn executable(path: &Path) -> Result<(), Errno> {
    rustix::fs::access(path, Access::EXEC_OK)?;
    let stat = rustix::fs::stat(path)?;
    match FileType::from_raw_mode(stat.st_mode) {
        FileType::RegularFile => Ok(()),
        _ => Err(Errno::ACCESS),
    }
}

fn environment(
    variables: &[(OsString, OsString)],
    mark: Option<&Mark>,
) -> Result<Vec<CString>, SpawnError> {
    let mut envp = Vec::with_capacity(variables.len() + 1);
    let mut outer = None;
    for (name, value) in variables {
        if mark.is_some() && name == mark::VARIABLE {
            outer = Some(value.as_os_str());
        } else {
            envp.push(entry(name, value)?);
        }
    }
    if let Some(mark) = mark {
        envp.push(entry(OsStr::new(mark::VARIABLE), &mark.value(outer))?);
    }
    Ok(envp)
}

fn entry(name: &OsStr, value: &OsStr) -> Result<CString, SpawnError> {
    let mut entry = Vec::with_capacity(name.len() + value.len() + 2);
    entry.extend_from_slice(name.as_bytes());
    entry.push(b'=');
    entry.extend_from_slice(value.as_bytes());
    c_string(&OsString::from_vec(entry))
}

fn c_string(text: &OsStr) -> Result<CString, SpawnError> {
    CString::new(text.as_bytes()).map_err(|_| SpawnError::NulByte)
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    fn message(spec: &UnitSpec) -> String {
        Command::prepare(spec, None).unwrap_err().to_string()
    }

    fn with_path(program: &str, path: &Path) -> UnitSpec {
        let env = vec![("PATH".into(), path.into())];
        UnitSpec {
            env: Some(env),
            ..UnitSpec::new(program)
        }
    }

    #[test]
    fn a_missing_executable_is_named_as_python_names_it() {
        let text = message(&UnitSpec::new("no-such-agent"));
        assert_eq!(text, "[Errno 2] No such file or directory: 'no-such-agent'");
    }

    #[test]
    fn a_missing_folder_is_named_before_a_missing_executable() {
        let spec = UnitSpec {
            working_dir: Some("/no/such/folder".into()),
            ..UnitSpec::new("no-such-agent")
        };
        assert_eq!(
            message(&spec),
            "[Errno 2] No such file or directory: '/no/such/folder'"
        );
    }

    #[test]
    fn a_nul_is_refused_wherever_it_hides() {
        let spec = UnitSpec::new("sh").args(["a\0b"]);
        assert_eq!(message(&spec), "embedded null byte");
        let env = Some(vec![("A".into(), "b\0c".into())]);
        assert_eq!(
            message(&UnitSpec {
                env,
                ..UnitSpec::new("sh")
            }),
            "embedded null byte"
        );
    }

    #[test]
    fn a_file_that_cannot_be_executed_is_told_from_a_missing_one() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("agent"), "").unwrap();
        let text = message(&with_path("agent", folder.path()));
        assert_eq!(text, "[Errno 13] Permission denied: 'agent'");
    }

    #[test]
    fn a_relative_search_path_is_seen_from_the_childs_folder() {
        let folder = tempfile::tempdir().unwrap();
        let bin = folder.path().join("bin");
        fs::create_dir(&bin).unwrap();
        fs::write(bin.join("agent"), "").unwrap();
        fs::set_permissions(bin.join("agent"), fs::Permissions::from_mode(0o755)).unwrap();
        let spec = UnitSpec {
            working_dir: Some(folder.path().into()),
            ..with_path("agent", Path::new("bin"))
        };
        let command = Command::prepare(&spec, None).unwrap();
        assert_eq!(command.path.to_str(), Ok("bin/agent"));
    }
}
