//! The files of the local forge: numbers, a lock between processes, durable writes.
//!
//! Touches nothing but the forge's folder. A file appears whole or not at all; one that does not
//! make sense is named and left as it is.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use super::document::{Document, Kind};
use super::index::{Index, Stamp};
use crate::forge::{ForgeError, Marker};
use crate::world::real::reason;

/// The folder of a local forge.
pub struct Store {
    folder: PathBuf,
    shown: String,
    index: Mutex<Index>,
    /// Numbers up to this one are in use elsewhere.
    taken: u64,
}

/// The store, held against other threads and processes for as long as this lives.
pub struct Locked<'s> {
    store: &'s Store,
    _lock: File,
}

impl Store {
    /// The store in `folder`, which need not exist; `shown` is how people are to read it.
    pub fn new(folder: &Path, shown: &str) -> Self {
        Self {
            folder: folder.to_owned(),
            shown: shown.trim_end_matches('/').to_owned(),
            index: Mutex::default(),
            taken: 0,
        }
    }

    /// Numbers up to `taken` are in use elsewhere, and are not given.
    pub const fn after(mut self, taken: u64) -> Self {
        self.taken = taken;
        self
    }

    /// What people open to read an object, relative to the repository.
    pub fn shown(&self, kind: Kind, number: u64) -> String {
        format!("{}/{}/{number}.md", self.shown, kind_folder(kind))
    }

    /// Waits for the store to read from it, and creates nothing: there is none where nothing was
    /// ever filed.
    pub fn lock_existing(&self) -> Result<Option<Locked<'_>>, ForgeError> {
        if !self.folder.exists() {
            return Ok(None);
        }
        match File::open(self.folder.join("lock")) {
            // Whoever only reads needs no more, on a disk that is read-only neither.
            Ok(file) => self.hold(file).map(Some),
            Err(_) => self.lock().map(Some),
        }
    }

    /// Waits for the store. The system frees it when the holder ends, however it ends.
    pub fn lock(&self) -> Result<Locked<'_>, ForgeError> {
        for kind in [Kind::Issue, Kind::Pull] {
            let folder = self.folder.join(kind_folder(kind));
            fs::create_dir_all(&folder).map_err(|error| failed("create", &folder, &error))?;
        }
        let path = self.folder.join("lock");
        let file = OpenOptions::new()
            .create(true)
            .truncate(false)
            .write(true)
            .open(&path)
            .map_err(|error| failed("write", &path, &error))?;
        self.hold(file)
    }

    fn hold(&self, file: File) -> Result<Locked<'_>, ForgeError> {
        rustix::io::retry_on_intr(|| {
            rustix::fs::flock(&file, rustix::fs::FlockOperation::LockExclusive)
        })
        .map_err(|error| failed("lock", &self.folder.join("lock"), &error.into()))?;
        Ok(Locked {
            store: self,
            _lock: file,
        })
    }
}

impl Locked<'_> {
    fn folder(&self, kind: Kind) -> PathBuf {
        self.store.folder.join(kind_folder(kind))
    }

    fn path(&self, kind: Kind, number: u64) -> PathBuf {
        self.folder(kind).join(format!("{number}.md"))
    }

    /// The next number of the one sequence, never one that was given before, even where the
    /// file with it is gone.
    pub fn next_number(&self) -> Result<u64, ForgeError> {
        let path = self.sequence();
        let given = match fs::read_to_string(&path) {
            Ok(text) => text.trim().parse().unwrap_or(0),
            Err(error) if error.kind() == io::ErrorKind::NotFound => 0,
            Err(error) => return Err(failed("read", &path, &error)),
        };
        let mut last: u64 = self.store.taken.max(given);
        for kind in [Kind::Issue, Kind::Pull] {
            last = self.numbers(kind)?.into_iter().fold(last, u64::max);
        }
        Ok(last + 1)
    }

    fn sequence(&self) -> PathBuf {
        self.store.folder.join("sequence")
    }

    /// The numbers there are, in order. Files with other names are nobody's business.
    fn numbers(&self, kind: Kind) -> Result<Vec<u64>, ForgeError> {
        let folder = self.folder(kind);
        let mut numbers = Vec::new();
        for entry in fs::read_dir(&folder).map_err(|error| failed("read", &folder, &error))? {
            let name = entry
                .map_err(|error| failed("read", &folder, &error))?
                .file_name();
            let stem = name.to_str().and_then(|name| name.strip_suffix(".md"));
            numbers.extend(stem.and_then(|stem| stem.parse::<u64>().ok()));
        }
        numbers.sort_unstable();
        Ok(numbers)
    }

    /// Reads one object.
    pub fn read(&self, kind: Kind, number: u64) -> Result<Document, ForgeError> {
        let path = self.path(kind, number);
        let bytes = match fs::read(&path) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                let what = format!("{} #{number}", kind_name(kind));
                return Err(not_found(what));
            }
            Err(error) => return Err(failed("read", &path, &error)),
        };
        let damaged = |reason: String| ForgeError::Corrupt {
            path: path.clone(),
            reason,
        };
        let text = String::from_utf8(bytes).map_err(|_| damaged("it is not UTF-8".into()))?;
        let document = Document::parse(&text).map_err(|damage| damaged(damage.to_string()))?;
        if (document.front.number, document.front.kind) != (number, kind) {
            let front = &document.front;
            let says = format!("{} {}", kind_name(front.kind), front.number);
            return Err(damaged(format!("it says that it is {says}")));
        }
        Ok(document)
    }

    /// Reads all objects of a kind, by number.
    pub fn read_all(&self, kind: Kind) -> Result<Vec<Document>, ForgeError> {
        self.numbers(kind)?
            .into_iter()
            .map(|number| self.read(kind, number))
            .collect()
    }

    /// Finds the object with a marker; of several the one with the lowest number.
    ///
    /// A damaged file is an error although it may be another's: what it says cannot be known, and
    /// to file the same thing twice is worse than to stop.
    pub fn find(&self, kind: Kind, marker: &Marker) -> Result<Option<Document>, ForgeError> {
        // A panic elsewhere leaves no half-made entry.
        let mut index = self
            .store
            .index
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        for number in self.numbers(kind)? {
            let path = self.path(kind, number);
            // The stamp first: an edit between the two is then seen the next time.
            let stamp = fs::metadata(&path).map(|facts| Stamp::of(&facts));
            let stamp = stamp.map_err(|error| failed("read", &path, &error))?;
            if index.get(kind, number, stamp).is_none() {
                index.put(stamp, &self.read(kind, number)?);
            }
            let markers = index.get(kind, number, stamp).unwrap_or_default();
            if markers.contains(marker) {
                return self.read(kind, number).map(Some);
            }
        }
        Ok(None)
    }

    /// Writes an object, whole and durably, and remembers its number.
    pub fn write(&self, document: &Document) -> Result<(), ForgeError> {
        let number = document.front.number;
        let path = self.path(document.front.kind, number);
        let text = document.render().map_err(|damage| ForgeError::Corrupt {
            path: path.clone(),
            reason: damage.to_string(),
        })?;
        let is_new = !path.exists();
        replace(&path, text.as_bytes(), Sync::Durable)?;
        if is_new {
            // Only a file that somebody deletes later makes it matter; after a crash the files
            // themselves tell the last number.
            replace(
                &self.sequence(),
                format!("{number}\n").as_bytes(),
                Sync::Lazy,
            )?;
        }
        Ok(())
    }
}

/// Whether a file has to survive the machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Sync {
    Durable,
    Lazy,
}

/// Puts a file in place: written beside it, renamed, and where it has to be durable both the
/// file and the folder are synced.
fn replace(path: &Path, bytes: &[u8], sync: Sync) -> Result<(), ForgeError> {
    let folder = path.parent().unwrap_or(path);
    // The lock is held, so one name will do, and one left by a crash is written over.
    let beside = path.with_extension("new");
    let write = || -> io::Result<()> {
        let mut file = File::create(&beside)?;
        file.write_all(bytes)?;
        if sync == Sync::Durable {
            file.sync_all()?;
        }
        fs::rename(&beside, path)?;
        if sync == Sync::Durable {
            File::open(folder)?.sync_all()?;
        }
        Ok(())
    };
    write().map_err(|error| {
        // Best effort: what stood at `path` is still there.
        let _ = fs::remove_file(&beside);
        failed("write", path, &error)
    })
}

const fn kind_folder(kind: Kind) -> &'static str {
    match kind {
        Kind::Issue => "issues",
        Kind::Pull => "pulls",
    }
}

const fn kind_name(kind: Kind) -> &'static str {
    match kind {
        Kind::Issue => "issue",
        Kind::Pull => "change request",
    }
}

/// That an object is not there.
pub fn not_found(what: String) -> ForgeError {
    ForgeError::NotFound {
        what,
        reason: "not found".to_owned(),
        remedy: "check the number".to_owned(),
    }
}

fn failed(action: &'static str, path: &Path, error: &io::Error) -> ForgeError {
    ForgeError::Io {
        action,
        path: path.to_owned(),
        reason: reason(error),
    }
}
