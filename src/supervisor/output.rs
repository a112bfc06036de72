//! What a child wrote, bounded in memory.

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

/// One stream of a child that has ended.
#[derive(Debug, Clone, Default)]
pub struct CapturedStream {
    bytes: Vec<u8>,
}

impl CapturedStream {
    /// A stream made of bytes at hand.
    pub fn from_bytes(bytes: impl Into<Vec<u8>>) -> Self {
        Self {
            bytes: bytes.into(),
        }
    }

    /// How many bytes the child wrote.
    pub fn len(&self) -> usize {
        self.bytes.len()
    }

    /// Whether the child wrote nothing.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The bytes, exactly as the child wrote them.
    pub fn bytes(&self) -> Vec<u8> {
        self.bytes.clone()
    }

    /// The bytes as text: UTF-8, where what is not UTF-8 becomes U+FFFD.
    pub fn text(&self, newlines: Newlines) -> String {
        let text = String::from_utf8_lossy(&self.bytes);
        match newlines {
            Newlines::Kept => text.into_owned(),
            Newlines::Universal => text.replace("\r\n", "\n").replace('\r', "\n"),
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
