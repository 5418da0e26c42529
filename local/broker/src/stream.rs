//! Reading and writing through a shared reference: one task does both directions of a connection.

use std::io;

use tokio::net::{TcpStream, UnixStream};

/// A socket of tokio's, as far as a broker needs it.
pub(crate) trait Stream {
    async fn readable(&self) -> io::Result<()>;
    async fn writable(&self) -> io::Result<()>;
    fn try_read(&self, buffer: &mut [u8]) -> io::Result<usize>;
    fn try_write(&self, bytes: &[u8]) -> io::Result<usize>;

    /// Some bytes; none at the end. Nothing is lost if the future is dropped.
    async fn read(&self, buffer: &mut [u8]) -> io::Result<usize> {
        loop {
            self.readable().await?;
            match self.try_read(buffer) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                result => return result,
            }
        }
    }

    /// All bytes. If the future is dropped, a part may have been written.
    async fn write_all(&self, mut bytes: &[u8]) -> io::Result<()> {
        while !bytes.is_empty() {
            match self.try_write(bytes) {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(written) => bytes = &bytes[written..],
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => self.writable().await?,
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// Exactly as many bytes as the buffer has.
    async fn read_exact(&self, mut buffer: &mut [u8]) -> io::Result<()> {
        while !buffer.is_empty() {
            match self.read(buffer).await? {
                0 => return Err(io::ErrorKind::UnexpectedEof.into()),
                read => buffer = &mut buffer[read..],
            }
        }
        Ok(())
    }
}

macro_rules! stream {
    ($stream:ty) => {
        impl Stream for $stream {
            async fn readable(&self) -> io::Result<()> {
                <$stream>::readable(self).await
            }
            async fn writable(&self) -> io::Result<()> {
                <$stream>::writable(self).await
            }
            fn try_read(&self, buffer: &mut [u8]) -> io::Result<usize> {
                <$stream>::try_read(self, buffer)
            }
            fn try_write(&self, bytes: &[u8]) -> io::Result<usize> {
                <$stream>::try_write(self, bytes)
            }
        }
    };
}

stream!(TcpStream);
stream!(UnixStream);
