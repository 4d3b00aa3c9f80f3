//! The pictures of a store below some folders, read page by page.

use std::path::Path;
use std::sync::Arc;

use crate::store::{self, Listed, Page, VectorStore};

/// The pictures below any of `folders`, hidden ones included.
pub(super) async fn below(
    store: &Arc<dyn VectorStore>,
    folders: &[impl AsRef<Path>],
) -> Result<Vec<Listed>, store::Error> {
    let (mut below, mut page) = (Vec::new(), Some(Page::default()));
    while let Some(this) = page {
        let listing = store.list(this).await?;
        let is_below = |listed: &Listed| {
            let location = listed.id.location();
            folders.iter().any(|folder| location.starts_with(folder))
        };
        below.extend(listing.pictures.into_iter().filter(is_below));
        page = listing.next;
    }
    Ok(below)
}
