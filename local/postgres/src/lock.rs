//! File locks that end when they are dropped.

use std::fs::File;
use std::io;

/// The lock of a file (flock). It ends when this is dropped.
///
/// Closing the file is not enough. A process that another thread is starting at that moment has a
/// copy of the descriptor until it runs its own program, and the lock belongs to all copies.
#[derive(Debug)]
pub struct FileLock(pub(crate) File);

impl FileLock {
    /// Waits until no other process has it.
    ///
    /// # Errors
    ///
    /// The file system has no locks.
    pub fn wait(file: File) -> io::Result<Self> {
        file.lock()?;
        Ok(Self(file))
    }
}

impl Drop for FileLock {
    fn drop(&mut self) {
        // If that fails, closing the file must be enough.
        self.0.unlock().ok();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_ends_in_spite_of_a_copy() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("lock");
        let lock = FileLock::wait(File::create(&path).unwrap()).unwrap();
        let copy = lock.0.try_clone().unwrap();
        let other = File::open(&path).unwrap();
        assert!(other.try_lock().is_err());
        drop(lock);
        other.try_lock().unwrap();
        drop(copy);
    }
}
