//! What can happen to the UI, and what it wants done about it.

use std::path::PathBuf;
use std::sync::Arc;

use image::DynamicImage;
use ratatui::layout::{Position, Size};

use super::graphics::Picture;
use super::key::Key;
use crate::backend::{Event, Query, Request, RequestId};

/// Everything that can happen to the UI.
#[derive(Debug)]
pub enum Message {
    /// A key was pressed.
    Key(Key),
    /// Text was pasted or dropped.
    Paste(String),
    /// The mouse did something at this place.
    Mouse(Click, Position),
    /// The window has this size now, and this many pixels per cell.
    Resized(Size, (u16, u16)),
    /// Nothing has been typed for a moment since this edit.
    TypingPaused(u64),
    /// The text that was typed turned out to mean this.
    Understood(Intent, Option<Typed>),
    /// The folder that was asked about is there, or not.
    FolderFound(PathBuf, bool),
    /// The backend says something.
    Backend(Event),
    /// A picture is ready to be drawn, or why not.
    Encoded(RequestId, Result<Picture, String>),
    /// The picture was handed to the system's viewer, or why not.
    Opened(PathBuf, Result<(), String>),
    /// The program has been to the shell and back.
    Resumed,
    /// The user wants out.
    Quit,
}

/// What the mouse does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Click {
    /// The left button is pressed.
    Press,
    /// The wheel turns up.
    WheelUp,
    /// The wheel turns down.
    WheelDown,
}

/// What typed text means.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Typed {
    /// Something to search for.
    Query(Query),
    /// A folder to load.
    Folder(PathBuf),
}

/// Why the meaning of the typed text is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Intent {
    /// It was confirmed: search, and go to the matches.
    Submit,
    /// Typing paused: search for words, and leave the keys where they are.
    Preview,
}

/// What the event loop must do on the UI's behalf.
#[derive(Debug)]
pub enum Effect {
    /// Pass this to the backend.
    Send(Request),
    /// Find out what this text means and come back with
    /// [`Message::Understood`].
    Understand(Intent, String),
    /// Come back with [`Message::TypingPaused`] in a moment, unless another
    /// edit comes first.
    AwaitPause(u64),
    /// Turn this picture into cells and come back with [`Message::Encoded`].
    Encode(RequestId, Arc<DynamicImage>, Size),
    /// Note that the download has been offered.
    RememberOffer,
    /// Add this to the history on disk.
    RememberQuery(String),
    /// Say whether this is a folder by [`Message::FolderFound`].
    FindFolder(PathBuf),
    /// Show this file in the system's viewer and come back with
    /// [`Message::Opened`].
    Open(PathBuf),
    /// Put this on the clipboard of the terminal; paths are bytes.
    Copy(Vec<u8>),
    /// Take the mouse, or give it back to the terminal.
    TakeMouse(bool),
    /// Send everything to the terminal again.
    Repaint,
    /// Stop until the shell brings us back.
    Suspend,
    /// Leave the loop.
    Quit,
}
