//! Finding a program on a search path: git, and the agent's executable, before anything is created.
//!
//! Reads only; the path is handed in.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};

/// The executable that `name` stands for, as a shell would find it.
///
/// A name with a slash is a path, taken from `folder`; any other is looked for in the folders of
/// `search`, the value of `PATH`, of which relative ones count from `folder` too.
pub fn executable(name: &OsStr, search: &OsStr, folder: &Path) -> Option<PathBuf> {
    if name.is_empty() {
        return None;
    }
    if name.as_encoded_bytes().contains(&b'/') {
        return Some(folder.join(name)).filter(|path| is_executable(path));
    }
    std::env::split_paths(search)
        .map(|place| folder.join(place).join(name))
        .find(|path| is_executable(path))
}

fn is_executable(path: &Path) -> bool {
    path.is_file() && rustix::fs::access(path, rustix::fs::Access::EXEC_OK).is_ok()
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn the_first_executable_file_of_that_name_is_found() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        for (name, mode) in [("a/tool", 0o644), ("b/tool", 0o755), ("c/tool", 0o755)] {
            fs::create_dir(at(name).parent().unwrap()).unwrap();
            fs::write(at(name), "").unwrap();
            fs::set_permissions(at(name), fs::Permissions::from_mode(mode)).unwrap();
        }
        fs::create_dir_all(at("d/dir")).unwrap();
        let search = std::env::join_paths([at("a"), "b".into(), at("c"), at("d")]).unwrap();
        let find = |name: &str| executable(name.as_ref(), &search, folder.path());
        assert_eq!(find("tool"), Some(at("b/tool")));
        assert_eq!(find("./c/tool"), Some(at("./c/tool")));
        assert_eq!(find("a/tool"), None);
        assert_eq!(find("dir"), None);
        assert_eq!(find(""), None);
    }
}
