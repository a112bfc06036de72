//! What a child wrote, bounded in memory.
//!
//! Up to [`IN_MEMORY`] bytes of a stream stay in memory. A longer one moves into a temporary file
//! without a name, which is mapped when the stream ends: a finished stream holds no descriptor,
//! and its size costs disk, not memory. Thousands of results may be kept.
//!
//! Touches temporary files, nothing else.

use std::borrow::Cow;
use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use memmap2::Mmap;

use super::event::{Chunk, ChunkSource};
use super::process;

/// How much of a stream stays in memory, in bytes.
pub const IN_MEMORY: usize = 64 * 1024;

/// Everything that a child wrote to its two streams.
#[derive(Debug, Clone, Default)]
pub struct Captured {
    /// Standard output.
    pub stdout: CapturedStream,
    /// Standard error.
    pub stderr: CapturedStream,
}

impl Captured {
    /// Output made of bytes at hand, for simulations and tests.
    pub fn from_bytes(stdout: impl Into<Vec<u8>>, stderr: impl Into<Vec<u8>>) -> Self {
        Self {
            stdout: CapturedStream::from_bytes(stdout),
            stderr: CapturedStream::from_bytes(stderr),
        }
    }
}

/// What becomes of `\r\n` and `\r` in decoded text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Newlines {
    /// They stay.
    Kept,
    /// They become `\n` (COMPATIBILITY 6).
    Universal,
}

/// One output stream of a child. Clones share the bytes.
#[derive(Debug, Clone, Default)]
pub struct CapturedStream(Arc<Mutex<Buffer>>);

#[derive(Debug, Default)]
struct Buffer {
    store: Store,
    /// The stream has ended; what comes later is not part of it.
    sealed: bool,
    /// How many bytes could not be kept, because the disk is full or broken.
    lost: u64,
}

#[derive(Debug)]
enum Store {
    Memory(Vec<u8>),
    Spooled { file: Arc<File>, len: u64 },
    Mapped(Mmap),
}

impl Default for Store {
    fn default() -> Self {
        Self::Memory(Vec::new())
    }
}

impl CapturedStream {
    /// A stream made of bytes at hand.
    pub fn from_bytes(bytes: impl Into<Vec<u8>>) -> Self {
        let store = Store::Memory(bytes.into());
        Self(Arc::new(Mutex::new(Buffer {
            store,
            sealed: true,
            lost: 0,
        })))
    }

    /// How many bytes the child wrote, as far as they could be kept.
    pub fn len(&self) -> u64 {
        self.lock().store.len()
    }

    /// Whether there are no bytes.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// How many bytes are missing because the disk of the temporary files was full or broken.
    pub fn lost(&self) -> u64 {
        self.lock().lost
    }

    /// The bytes, exactly as the child wrote them.
    pub fn bytes(&self) -> Vec<u8> {
        let buffer = self.lock();
        buffer.store.range(0, buffer.store.len()).into_owned()
    }

    /// The bytes as text: UTF-8, where what is not UTF-8 becomes U+FFFD.
    pub fn text(&self, newlines: Newlines) -> String {
        self.with_text(newlines, str::to_owned)
    }

    /// Hands the text to `reader` without a copy of its own, where nothing needs to be replaced.
    pub fn with_text<T>(&self, newlines: Newlines, reader: impl FnOnce(&str) -> T) -> T {
        let buffer = self.lock();
        let bytes = buffer.store.range(0, buffer.store.len());
        reader(&decode(&bytes, newlines))
    }

    /// The beginning as text, at most `limit` bytes of it; the last character may be cut.
    pub fn head(&self, limit: usize, newlines: Newlines) -> String {
        let bytes = self.lock().store.range(0, limit as u64).into_owned();
        decode(&bytes, newlines).into_owned()
    }

    /// A piece of the stream, read when it is asked for.
    pub(super) fn chunk(&self, start: u64, end: u64) -> Chunk {
        let file = match &self.lock().store {
            Store::Spooled { file, .. } => Some(Arc::clone(file)),
            Store::Memory(_) | Store::Mapped(_) => None,
        };
        Chunk::new(Piece {
            stream: self.clone(),
            file,
            start,
            end,
        })
    }

    /// Takes in what the child wrote. A failing disk loses bytes, which are counted, and never
    /// holds up the child.
    pub(super) fn append(&self, bytes: &[u8]) {
        let mut buffer = self.lock();
        if buffer.sealed {
            return;
        }
        if buffer.lost > 0 || buffer.store.append(bytes).is_err() {
            buffer.lost += bytes.len() as u64;
        }
    }

    /// Ends the stream: frees what it does not need, and closes its file.
    pub(super) fn seal(&self) {
        let mut buffer = self.lock();
        buffer.sealed = true;
        match &mut buffer.store {
            Store::Memory(bytes) => bytes.shrink_to_fit(),
            Store::Spooled { file, .. } => {
                // Without the mapping the file stays open, which only costs a descriptor.
                if let Ok(map) = process::map_private(file) {
                    buffer.store = Store::Mapped(map);
                }
            }
            Store::Mapped(_) => {}
        }
    }

    fn lock(&self) -> MutexGuard<'_, Buffer> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Store {
    fn len(&self) -> u64 {
        match self {
            Self::Memory(bytes) => bytes.len() as u64,
            Self::Spooled { len, .. } => *len,
            Self::Mapped(map) => map.len() as u64,
        }
    }

    fn append(&mut self, bytes: &[u8]) -> io::Result<()> {
        match self {
            Self::Memory(held) if held.len() + bytes.len() <= IN_MEMORY => {
                held.extend_from_slice(bytes);
            }
            Self::Memory(held) => {
                let file = unnamed_file()?;
                file.write_all_at(held, 0)?;
                file.write_all_at(bytes, held.len() as u64)?;
                let len = (held.len() + bytes.len()) as u64;
                let file = Arc::new(file);
                *self = Self::Spooled { file, len };
            }
            Self::Spooled { file, len } => {
                file.write_all_at(bytes, *len)?;
                *len += bytes.len() as u64;
            }
            Self::Mapped(_) => {}
        }
        Ok(())
    }

    /// The bytes from `start` to `end`, as far as they exist.
    fn range(&self, start: u64, end: u64) -> Cow<'_, [u8]> {
        let index = |offset: u64| usize::try_from(offset.min(self.len())).unwrap_or(usize::MAX);
        let (start_index, end_index) = (index(start), index(end.max(start)));
        match self {
            Self::Memory(bytes) => Cow::Borrowed(&bytes[start_index..end_index]),
            Self::Mapped(map) => Cow::Borrowed(&map[start_index..end_index]),
            Self::Spooled { file, .. } => {
                Cow::Owned(read_back(file, start, (end_index - start_index) as u64))
            }
        }
    }
}

/// What cannot be read back is shown as NULs rather than as a shorter stream.
fn read_back(file: &File, start: u64, len: u64) -> Vec<u8> {
    let mut bytes = vec![0; usize::try_from(len).unwrap_or(0)];
    let _ = file.read_exact_at(&mut bytes, start);
    bytes
}

struct Piece {
    stream: CapturedStream,
    /// Where the stream was spooled already. A late reader reads from here, and touches none of
    /// the mapped pages, which would count as the program's memory.
    file: Option<Arc<File>>,
    start: u64,
    end: u64,
}

impl ChunkSource for Piece {
    fn bytes(&self) -> Vec<u8> {
        if let Some(file) = &self.file {
            return read_back(file, self.start, self.end.saturating_sub(self.start));
        }
        let buffer = self.stream.lock();
        buffer.store.range(self.start, self.end).into_owned()
    }

    fn release(&self) {
        if let Some(file) = &self.file {
            give_back(file, self.end);
        }
    }
}

/// Frees the beginning of a file, whose length stays. Where the file system cannot do that, it goes
/// with the file.
#[cfg(target_os = "linux")]
fn give_back(file: &File, end: u64) {
    use rustix::fs::FallocateFlags;

    let hole = FallocateFlags::PUNCH_HOLE | FallocateFlags::KEEP_SIZE;
    let _ = rustix::fs::fallocate(file, hole, 0, end);
}

#[cfg(not(target_os = "linux"))]
fn give_back(_file: &File, _end: u64) {}

/// Text of a child: UTF-8, where what is not UTF-8 becomes U+FFFD. Borrowed where nothing changes.
pub fn decode(bytes: &[u8], newlines: Newlines) -> Cow<'_, str> {
    let text = String::from_utf8_lossy(bytes);
    if newlines == Newlines::Kept || !text.contains('\r') {
        return text;
    }
    let mut translated = String::with_capacity(text.len());
    let mut rest = &*text;
    while let Some(at) = rest.find('\r') {
        translated.push_str(&rest[..at]);
        translated.push('\n');
        rest = &rest[at + 1..];
        rest = rest.strip_prefix('\n').unwrap_or(rest);
    }
    translated.push_str(rest);
    Cow::Owned(translated)
}

/// Where long output goes: `TMPDIR`, else `/var/tmp`, since `/tmp` is memory on many systems.
///
/// Looked up once, by whoever starts the first unit: the environment is not safe to read while
/// another thread changes it.
pub(super) fn spool_folder() -> &'static Path {
    static FOLDER: OnceLock<PathBuf> = OnceLock::new();
    FOLDER.get_or_init(|| {
        let wished = std::env::var_os("TMPDIR").map(PathBuf::from);
        let candidates = wished.into_iter().chain(["/var/tmp".into(), "/tmp".into()]);
        candidates
            .into_iter()
            .find(|folder| folder.is_dir())
            .unwrap_or_else(|| ".".into())
    })
}

/// A temporary file that has no name, so that nothing is left of it whatever happens.
fn unnamed_file() -> io::Result<File> {
    let folder = spool_folder();
    #[cfg(target_os = "linux")]
    {
        let flags = rustix::fs::OFlags::TMPFILE | rustix::fs::OFlags::EXCL;
        let opened = OpenOptions::new()
            .read(true)
            .write(true)
            .mode(0o600)
            .custom_flags(i32::try_from(flags.bits()).unwrap_or(0))
            .open(folder);
        if let Ok(file) = opened {
            return Ok(file);
        }
    }
    for attempt in 0..1_000 {
        let path = folder.join(format!(".orchestration-{}-{attempt}", std::process::id()));
        match OpenOptions::new()
            .read(true)
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(&path)
        {
            Ok(file) => {
                fs::remove_file(&path)?;
                return Ok(file);
            }
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            Err(error) => return Err(error),
        }
    }
    Err(io::ErrorKind::AlreadyExists.into())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn text(bytes: &[u8], newlines: Newlines) -> String {
        CapturedStream::from_bytes(bytes).text(newlines)
    }

    #[test]
    #[cfg(target_os = "linux")]
    fn what_was_listened_to_takes_no_disk() {
        use std::os::unix::fs::MetadataExt;

        let stream = CapturedStream::default();
        let flood = vec![b'x'; 4 << 20];
        stream.append(&flood);
        let allocated = || match &stream.lock().store {
            Store::Spooled { file, .. } => file.metadata().unwrap().blocks() * 512,
            Store::Memory(_) | Store::Mapped(_) => panic!("it is too long for memory"),
        };
        assert!(allocated() >= 4 << 20);
        let chunk = stream.chunk(0, 4 << 20);
        assert!(chunk.bytes() == flood, "other bytes");
        chunk.release();
        assert!(allocated() < 64 << 10, "{} bytes", allocated());
        stream.append(b"and on");
        assert_eq!(stream.chunk(4 << 20, stream.len()).bytes(), b"and on");
    }

    #[test]
    fn universal_newlines_translate_both_foreign_forms() {
        assert_eq!(
            text(b"a\r\nb\rc\r\r\n\n", Newlines::Universal),
            "a\nb\nc\n\n\n"
        );
        assert_eq!(text(b"a\r\nb", Newlines::Kept), "a\r\nb");
    }

    #[test]
    fn what_is_not_utf8_becomes_the_replacement_character() {
        assert_eq!(text(b"caf\xe9 ok", Newlines::Universal), "caf\u{fffd} ok");
    }

    #[test]
    fn nothing_is_added_once_a_stream_is_sealed() {
        let stream = CapturedStream::default();
        stream.append(b"before");
        stream.seal();
        stream.append(b"after");
        assert_eq!(stream.bytes(), b"before");
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn a_stream_reads_back_as_it_was_written(
            pieces in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..40_000), 0..6),
        ) {
            let stream = CapturedStream::default();
            let mut written = Vec::new();
            for piece in &pieces {
                let start = written.len() as u64;
                stream.append(piece);
                written.extend_from_slice(piece);
                let chunk = stream.chunk(start, written.len() as u64);
                prop_assert_eq!(&chunk.bytes(), piece);
            }
            prop_assert_eq!(stream.bytes(), written.clone());
            stream.seal();
            prop_assert_eq!(stream.len(), written.len() as u64);
            prop_assert_eq!(stream.bytes(), written);
        }
    }
}
