//! One command on a connection: start, feed, listen, and end it when its time is over.
//!
//! Owns what each way of ending means for the world. Must not know hosts' addresses or reuse of
//! connections.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use russh::{Channel, ChannelMsg, ChannelReadHalf, ChannelWriteHalf, Sig, client::Msg};
use tokio::{
    runtime::Handle,
    task::JoinHandle,
    time::{Instant, sleep_until, timeout, timeout_at},
};

use super::{
    connect::Connection,
    remote::{self, Group},
};
use crate::{
    base::time::show_duration,
    diagnostics::codes,
    model::Fault,
    ports::transport::{Command, CommandOutput},
    transports::output::{Kept, gather, with_tail},
};

/// A host that opens a session must have its shell running within this time.
const START: Duration = Duration::from_secs(30);
/// After the command's exit its output may pause so long before it is held to be complete:
/// a daemon that it left behind may keep the pipe open for ever.
const QUIET: Duration = Duration::from_secs(1);
/// After the command's exit the rest of its output must be here within this time.
const DRAIN: Duration = Duration::from_secs(30);
/// Ending a process group takes TERM, two seconds, KILL, two seconds; and the way there.
const END: Duration = Duration::from_secs(15);
/// Noise of start-up files is searched for the session's own line so far.
const MAX_NOISE: usize = 256 * 1024;

/// Endings of commands whose callers have gone; waited for before connections are closed.
#[derive(Clone, Default)]
pub(super) struct Cleanups(Arc<Mutex<Vec<JoinHandle<()>>>>);

impl Cleanups {
    fn add(&self, task: JoinHandle<()>) {
        let mut tasks = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        tasks.retain(|t| !t.is_finished());
        tasks.push(task);
    }

    /// Waits until all are done, so long as that may take.
    pub(super) async fn finish(&self) {
        let tasks = std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner));
        let all = async {
            for task in tasks {
                // A panic in it has nothing to say here; the connection is closed anyway.
                let _ = task.await;
            }
        };
        let _ = timeout(END, all).await;
    }
}

/// A command that is ready to be sent.
pub(super) struct Prepared<'a> {
    command: &'a Command,
    marker: String,
    script: String,
}

/// Checks a command and writes what the host will be sent, before anything is opened.
pub(super) fn prepare(command: &Command) -> Result<Prepared<'_>, Fault> {
    let marker = remote::marker()?;
    let script = remote::script(&command.line, &command.environment, &marker)?;
    Ok(Prepared { command, marker, script })
}

/// Runs a command on a channel that was opened for it.
pub(super) async fn run(
    connection: &Arc<Connection>,
    channel: Channel<Msg>,
    Prepared { command, marker, script }: Prepared<'_>,
    cleanups: &Cleanups,
) -> Result<CommandOutput, Fault> {
    let name = connection.endpoint.name.clone();
    let deadline = command.timeout.map(|t| Instant::now() + t);
    let (mut reader, writer) = channel.split();
    let mut session = Session::new(&marker, command.max_bytes);

    let limit = command.timeout.map_or(START, |t| t.min(START));
    let group = match timeout(limit, session.start(&mut reader, &writer)).await {
        Ok(Ok(group)) => group,
        Ok(Err(why)) => return Err(session.not_started(&name, why)),
        Err(_) => {
            close(&writer).await;
            let what = format!("`{name}` did not start a shell within {}", show_duration(limit));
            return Err(Fault::untouched(codes::RW0703, what)
                .help("The host is overloaded, or a start-up file of its shell hangs.")
                .transient());
        }
    };

    let mut guard = Guard {
        connection: connection.clone(),
        group,
        writer: Some(writer),
        cleanups: cleanups.clone(),
        runtime: Handle::current(),
    };
    let mut input = script.into_bytes();
    input.extend_from_slice(command.stdin.as_deref().unwrap_or_default());
    let talk = session.talk(&mut reader, guard.writer.as_ref(), input);
    let in_time = match deadline {
        None => {
            talk.await;
            true
        }
        Some(at) => timeout_at(at, talk).await.is_ok(),
    };
    if !in_time {
        let ended = end(connection, group, guard.writer.as_ref()).await;
        // What it wrote last helps to see why it took so long.
        let _ = timeout(QUIET, session.listen(&mut reader)).await;
        guard.disarm().await;
        return Err(session.timed_out(&name, command.timeout.unwrap_or_default(), ended));
    }
    guard.disarm().await;
    session.outcome(&name)
}

/// Why a session did not get as far as the command.
#[derive(Clone, Copy)]
enum NotStarted {
    Refused,
    Ended,
    Lost,
}

/// What a command has said so far.
struct Session<'a> {
    marker: &'a str,
    noise: Option<Vec<u8>>,
    group: Option<Group>,
    stdout: Kept,
    stderr: Kept,
    status: Option<i32>,
    signal: Option<String>,
    exited: Option<Instant>,
    closed: bool,
    lost: bool,
    refused: bool,
}

impl<'a> Session<'a> {
    fn new(marker: &'a str, max: usize) -> Self {
        Self {
            marker,
            noise: Some(Vec::new()),
            group: None,
            stdout: Kept::new(max),
            stderr: Kept::new(max),
            status: None,
            signal: None,
            exited: None,
            closed: false,
            lost: false,
            refused: false,
        }
    }

    async fn start(
        &mut self,
        reader: &mut ChannelReadHalf,
        writer: &ChannelWriteHalf<Msg>,
    ) -> Result<Group, NotStarted> {
        if writer.exec(true, remote::request(self.marker)).await.is_err() {
            return Err(NotStarted::Lost);
        }
        loop {
            if let Some(group) = self.group {
                return Ok(group);
            }
            if self.lost {
                return Err(NotStarted::Lost);
            }
            if self.refused {
                return Err(NotStarted::Refused);
            }
            if self.closed {
                return Err(NotStarted::Ended);
            }
            self.take(reader.wait().await);
        }
    }

    /// Sends the input and listens, until the command has ended and said all.
    async fn talk(
        &mut self,
        reader: &mut ChannelReadHalf,
        writer: Option<&ChannelWriteHalf<Msg>>,
        input: Vec<u8>,
    ) {
        let send = async {
            if let Some(writer) = writer {
                // A failure shows on the reading side, as a command that read no more of its
                // input, or as a lost connection.
                if writer.data_bytes(input).await.is_ok() {
                    let _ = writer.eof().await;
                }
            }
        };
        tokio::pin!(send);
        let listen = self.listen(reader);
        tokio::pin!(listen);
        tokio::select! {
            () = &mut listen => {}
            () = &mut send => listen.await,
        }
    }

    async fn listen(&mut self, reader: &mut ChannelReadHalf) {
        while !self.closed && !self.lost {
            let until = self.exited.map(|at| (Instant::now() + QUIET).min(at + DRAIN));
            tokio::select! {
                biased;
                message = reader.wait() => self.take(message),
                () = sleep_until(until.unwrap_or_else(Instant::now)), if until.is_some() => return,
            }
        }
    }

    fn take(&mut self, message: Option<ChannelMsg>) {
        match message {
            Some(ChannelMsg::Data { data }) => self.stdout.push(&data),
            Some(ChannelMsg::ExtendedData { data, ext: 1 }) => self.hear(&data),
            Some(ChannelMsg::ExitStatus { exit_status }) => {
                self.status = Some(i32::try_from(exit_status).unwrap_or(i32::MAX));
                self.exited = Some(Instant::now());
            }
            Some(ChannelMsg::ExitSignal { signal_name, .. }) => {
                self.signal = Some(signal(&signal_name));
                self.exited = Some(Instant::now());
            }
            Some(ChannelMsg::Failure) => self.refused = true,
            Some(ChannelMsg::Close) => self.closed = true,
            // The sender is gone: the channel was closed, or the connection with all its channels.
            None if self.exited.is_some() => self.closed = true,
            None => self.lost = true,
            Some(_) => {}
        }
    }

    /// Standard error: the session's own line is taken out, wherever start-up files put it.
    fn hear(&mut self, data: &[u8]) {
        let Some(noise) = &mut self.noise else {
            self.stderr.push(data);
            return;
        };
        noise.extend_from_slice(data);
        match remote::announced(noise, self.marker) {
            Some((group, from, to)) => {
                self.group = Some(group);
                self.stderr.push(&noise[..from]);
                self.stderr.push(&noise[to..]);
                self.noise = None;
            }
            None if noise.len() > MAX_NOISE => {
                let half = noise.len() / 2;
                let old: Vec<u8> = noise.drain(..half).collect();
                self.stderr.push(&old);
            }
            None => {}
        }
    }

    fn output(self) -> CommandOutput {
        gather(self.stdout, self.stderr, self.status, self.signal)
    }

    fn not_started(mut self, name: &str, why: NotStarted) -> Fault {
        let noise = self.noise.take().unwrap_or_default();
        self.stderr.push(&noise);
        let output = self.output();
        let said = [output.stderr, output.stdout].concat();
        let fault = match why {
            NotStarted::Lost => {
                let what = format!("the connection to `{name}` was lost before the command ran");
                return Fault::untouched(codes::RW0712, what).transient();
            }
            NotStarted::Refused => format!("`{name}` refuses to run commands for this user"),
            NotStarted::Ended => format!("`{name}` did not start a shell for this user"),
        };
        with_tail(Fault::untouched(codes::RW0702, fault), &said).help(
            "The account needs a login shell and /bin/sh; a forced command in authorized_keys, a \
             restricted shell or `nologin` does not do.",
        )
    }

    fn outcome(self, name: &str) -> Result<CommandOutput, Fault> {
        if self.exited.is_some() {
            return Ok(self.output());
        }
        let lost = self.lost;
        let output = self.output();
        let what = if lost {
            format!("the connection to `{name}` was lost while the command ran")
        } else {
            format!("`{name}` ended the session without saying how the command ended")
        };
        Err(with_tail(Fault::unknown(codes::RW0712, what), &output.stderr)
            .help("Look at the host before you go on: the command may still run, or have finished.")
            .result(output.to_value()))
    }

    fn timed_out(self, name: &str, limit: Duration, ended: bool) -> Fault {
        let output = self.output();
        let limit = show_duration(limit);
        let (fault, help) = if ended {
            let what = format!(
                "the command on `{name}` took longer than {limit}; all its processes were ended"
            );
            (
                Fault::partial(codes::RW0703, what),
                "Part of its work may be done; look before you \
              repeat it, or give it more time with `timeout`.",
            )
        } else {
            let what = format!(
                "the command on `{name}` took longer than {limit}, and may still be running"
            );
            (
                Fault::unknown(codes::RW0703, what),
                "It could not be confirmed that its processes \
              have ended: the connection is gone, or they belong to another user (sudo). Look at \
              the host.",
            )
        };
        with_tail(fault, &output.stderr).help(help).result(output.to_value())
    }
}

/// Ends the process group; true when it is confirmed that nothing of it lives.
async fn end(
    connection: &Connection,
    group: Group,
    writer: Option<&ChannelWriteHalf<Msg>>,
) -> bool {
    let attempt = async {
        let request = remote::end_request(group)?;
        let mut channel = connection.handle.channel_open_session().await.ok()?;
        channel.exec(true, request).await.ok()?;
        let _ = channel.eof().await;
        let mut said = Vec::new();
        while let Some(message) = channel.wait().await {
            match message {
                ChannelMsg::Data { data } if said.len() < 4096 => said.extend_from_slice(&data),
                ChannelMsg::Close | ChannelMsg::Failure => break,
                _ => {}
            }
        }
        let _ = channel.close().await;
        Some(String::from_utf8_lossy(&said).lines().any(|l| l == "gone"))
    };
    match timeout(END, attempt).await {
        Ok(Some(confirmed)) => confirmed,
        // No second session may be opened, or there is no group: the server is asked to do it,
        // which it does without saying what became of it.
        Ok(None) | Err(_) => {
            if let Some(writer) = writer {
                let _ = timeout(QUIET, writer.signal(Sig::TERM)).await;
                let _ = timeout(QUIET, writer.signal(Sig::KILL)).await;
            }
            false
        }
    }
}

async fn close(writer: &ChannelWriteHalf<Msg>) {
    // When the server has closed it already, there is nobody left to tell.
    let _ = timeout(QUIET, writer.close()).await;
}

/// Ends the command when nobody waits for it any more.
struct Guard {
    connection: Arc<Connection>,
    group: Group,
    writer: Option<ChannelWriteHalf<Msg>>,
    cleanups: Cleanups,
    runtime: Handle,
}

impl Guard {
    /// The command has ended, or all was done to end it.
    async fn disarm(&mut self) {
        if let Some(writer) = self.writer.take() {
            close(&writer).await;
        }
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        let Some(writer) = self.writer.take() else { return };
        let (connection, group) = (self.connection.clone(), self.group);
        let task = self.runtime.spawn(async move {
            end(&connection, group, Some(&writer)).await;
            close(&writer).await;
        });
        self.cleanups.add(task);
    }
}

fn signal(signal: &Sig) -> String {
    match signal {
        Sig::Custom(name) => name.clone(),
        known => format!("{known:?}"),
    }
}
