//! A socket, what waits to be written to it, and the calls in flight on it.

use std::{
    io::{ErrorKind, Read as _, Write as _},
    net::{SocketAddr, TcpStream},
    os::fd::{AsFd as _, BorrowedFd},
};

use super::{
    Answer, Call, Wire,
    flights::{Flight, Flights},
};
use crate::Result;

/// Room for what is read at a time: large replies come in few pieces.
const BUFFER: usize = 256 * 1024;

pub(super) struct Connection {
    socket: TcpStream,
    wire: Box<dyn Wire>,
    flights: Flights,
    out: Vec<u8>,
    /// How much of `out` is written.
    written: usize,
    input: Vec<u8>,
    /// How much of `input` is filled.
    filled: usize,
}

impl Connection {
    pub(super) fn open(address: SocketAddr, mut wire: Box<dyn Wire>) -> Result<Self> {
        let socket = TcpStream::connect(address)?;
        socket.set_nodelay(true)?;
        socket.set_nonblocking(true)?;
        let mut out = Vec::new();
        wire.hello(&mut out);
        let mut connection =
            Self { socket, wire, flights: Flights::default(), out, written: 0, input: Vec::new(), filled: 0 };
        connection.write()?;
        Ok(connection)
    }

    pub(super) fn socket(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }

    pub(super) const fn open_calls(&self) -> usize {
        self.flights.open()
    }

    pub(super) fn has_room(&self, call: &Call<'_>) -> bool {
        self.wire.has_room(call)
    }

    pub(super) fn begin(&mut self, call: &Call<'_>, flight: Flight) {
        self.wire.begin(call, &mut self.out);
        self.flights.begin(flight);
    }

    pub(super) fn end(&mut self, number: u64) -> Option<Flight> {
        self.flights.end(number)
    }

    pub(super) const fn wants_to_write(&self) -> bool {
        self.written < self.out.len()
    }

    /// Writes what waits, as far as the socket takes it.
    pub(super) fn write(&mut self) -> Result<()> {
        self.wire.flush(&mut self.out);
        while self.written < self.out.len() {
            match self.socket.write(&self.out[self.written..]) {
                Ok(length) => self.written += length,
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(()),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error.into()),
            }
        }
        self.out.clear();
        self.written = 0;
        Ok(())
    }

    /// Reads what is there, once: the rest makes the next poll return at once.
    pub(super) fn read(&mut self, answers: &mut Vec<Answer>) -> Result<()> {
        // Quiet connections by the thousand need no large buffers.
        if self.input.len() - self.filled < BUFFER / 2 {
            let room = if self.filled == 0 && self.input.is_empty() { BUFFER / 16 } else { BUFFER };
            self.input.resize(self.filled + room, 0);
        }
        match self.socket.read(&mut self.input[self.filled..]) {
            Ok(0) => return Err("the server closed the connection".into()),
            Ok(length) => self.filled += length,
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted) => {}
            Err(error) => return Err(error.into()),
        }
        let used = self.wire.feed(&self.input[..self.filled], &mut self.out, answers)?;
        self.input.copy_within(used..self.filled, 0);
        self.filled -= used;
        Ok(())
    }
}
