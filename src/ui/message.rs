//! What can happen to the UI, and what it wants done about it.

use std::path::PathBuf;
use std::sync::Arc;

use image::DynamicImage;
use ratatui::layout::Size;
use tui_input::InputRequest;

use super::graphics::Picture;
use super::state::Focus;
use crate::backend::{Event, Query, Request, RequestId};

/// Everything that can happen to the UI.
#[derive(Debug)]
pub enum Message {
    /// The query was edited.
    Edit(InputRequest),
    /// Text was pasted or dropped.
    Paste(String),
    /// The query was confirmed.
    Submit,
    /// The text that was confirmed turned out to mean this.
    Understood(Option<Query>),
    /// So many hits down, or up if negative.
    Select(isize),
    /// To the first hit.
    SelectFirst,
    /// To the last hit.
    SelectLast,
    /// Pictures like the selected one.
    MoreLikeThis,
    /// Keys go there now.
    Focus(Focus),
    /// One step back: closes the help, leaves the results, clears the query.
    Back,
    /// Shows or hides the keys.
    ToggleHelp,
    /// Yes to the download on offer.
    Download,
    /// Stops a download or a load.
    Stop,
    /// The window has this size now.
    Resized(Size),
    /// To the shell for a while.
    Suspend,
    /// The user wants out.
    Quit,
    /// The backend says something.
    Backend(Event),
    /// A picture is ready to be drawn, or why not.
    Encoded(RequestId, Result<Picture, String>),
}

/// What the event loop must do on the UI's behalf.
#[derive(Debug)]
pub enum Effect {
    /// Pass this to the backend.
    Send(Request),
    /// Find out what this text means and come back with
    /// [`Message::Understood`].
    Understand(String),
    /// Turn this picture into cells and come back with [`Message::Encoded`].
    Encode(RequestId, Arc<DynamicImage>, Size),
    /// Note that the download has been offered.
    RememberOffer,
    /// Say whether this is a folder, and load it if so.
    LoadIfThere(PathBuf),
    /// Stop until the shell brings us back.
    Suspend,
    /// Leave the loop.
    Quit,
}
