//! Stores many documents: batches by number and length, several in flight,
//! each document accounted for.

use futures::stream::{self, StreamExt as _, TryStreamExt as _};
use serde_json::Value;

use super::Error;
use super::client::Client;
use super::command::Command;
use super::pace;
use super::patience::{Attempts, Fault};
use super::reply::{CommandError, Meaning};

/// Documents in one request: more gain nothing, says `DataStax`, and the
/// server takes 100 at most (20 before April 2024).
const BATCH: usize = 50;

/// Bytes in one request: far below the server's 20 MB, as proxies take less.
const BATCH_BYTES: usize = 2 << 20;

/// A document that was not taken, by its place among those given.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct NotTaken {
    pub(super) number: usize,
    pub(super) reason: String,
}

/// A document on its way.
struct Item {
    number: usize,
    document: Value,
    bytes: usize,
}

/// Inserts `documents`, replacing those whose `_id` is there.
pub(super) async fn store(client: &Client, documents: Vec<Value>) -> Result<Vec<NotTaken>, Error> {
    let items = documents.into_iter().enumerate().map(|(number, document)| {
        let bytes = document.to_string().len();
        Item { number, document, bytes }
    });
    stream::iter(batches(items).into_iter().map(|batch| store_batch(client, batch)))
        .buffer_unordered(pace::MOST)
        .try_concat()
        .await
}

fn batches(items: impl Iterator<Item = Item>) -> Vec<Vec<Item>> {
    let mut batches: Vec<Vec<Item>> = Vec::new();
    let mut bytes = 0;
    for item in items {
        let fits =
            |batch: &&mut Vec<Item>| batch.len() < BATCH && bytes + item.bytes <= BATCH_BYTES;
        if let Some(batch) = batches.last_mut().filter(fits) {
            bytes += item.bytes;
            batch.push(item);
        } else {
            bytes = item.bytes;
            batches.push(vec![item]);
        }
    }
    batches
}

/// One batch, or its halves if it is too large for what lies in between.
async fn store_batch(client: &Client, batch: Vec<Item>) -> Result<Vec<NotTaken>, Error> {
    let mut open = vec![batch];
    let mut not_taken = Vec::new();
    while let Some(mut batch) = open.pop() {
        match insert(client, &mut batch, &mut not_taken).await {
            Err(Error::TooLarge { .. }) if batch.len() > 1 => {
                let rest = batch.split_off(batch.len() / 2);
                open.extend([batch, rest]);
            }
            Err(error @ Error::TooLarge { .. }) => {
                let reason = format!("is refused: {error}");
                not_taken.extend(batch.iter().map(|item| item.not_taken(&reason)));
            }
            inserted => inserted?,
        }
    }
    Ok(not_taken)
}

/// Inserts `batch`, and goes on with what of it is not stored yet until there
/// is nothing left in it.
async fn insert(
    client: &Client,
    batch: &mut Vec<Item>,
    not_taken: &mut Vec<NotTaken>,
) -> Result<(), Error> {
    let mut attempts = client.attempts();
    let whole = batch.len();
    while !batch.is_empty() {
        let documents: Vec<&Value> = batch.iter().map(|item| &item.document).collect();
        let reply = client.send_in_turn(&Command::insert_many(&documents)).await?;
        let Some(outcomes) = reply.outcomes(batch.len()) else {
            return Err(client.unaccounted());
        };
        let (mut there, mut again, mut passing) = (Vec::new(), Vec::new(), None);
        for (item, outcome) in std::mem::take(batch).into_iter().zip(outcomes) {
            match outcome {
                None => {}
                Some(error) => match verdict(client, &error)? {
                    Verdict::Exists => there.push(item),
                    Verdict::Again(fault) => {
                        again.push(item);
                        passing = Some(fault);
                    }
                    Verdict::Refused(reason) => not_taken.push(item.not_taken(&reason)),
                },
            }
        }
        not_taken.extend(replace_all(client, there).await?);
        *batch = again;
        if let Some(fault) = passing {
            rest_or_give_up(client, &mut attempts, fault, batch, whole, not_taken).await?;
        }
    }
    Ok(())
}

/// If others of the batch were stored, it is these documents that the server
/// has trouble with, and they do not end the load.
async fn rest_or_give_up(
    client: &Client,
    attempts: &mut Attempts<'_>,
    fault: Fault,
    batch: &mut Vec<Item>,
    whole: usize,
    not_taken: &mut Vec<NotTaken>,
) -> Result<(), Error> {
    match client.rest(attempts, fault).await {
        Err(error) if batch.len() < whole => {
            let reason = format!("is refused: {error}");
            not_taken.extend(std::mem::take(batch).iter().map(|item| item.not_taken(&reason)));
            Ok(())
        }
        rested => rested,
    }
}

/// What an error of one document means for it; an error that is none of the
/// document's ends everything.
enum Verdict {
    Exists,
    Again(Fault),
    Refused(String),
}

fn verdict(client: &Client, error: &CommandError) -> Result<Verdict, Error> {
    match error.meaning() {
        Meaning::Exists => Ok(Verdict::Exists),
        Meaning::Other | Meaning::VectorLength | Meaning::NoVectors => {
            Ok(Verdict::Refused(format!("is refused: {}", client.refused(error))))
        }
        _ => match client.fault(error, None) {
            Fault::Final(error) => Err(error),
            fault => Ok(Verdict::Again(fault)),
        },
    }
}

async fn replace_all(client: &Client, items: Vec<Item>) -> Result<Vec<NotTaken>, Error> {
    stream::iter(items.into_iter().map(|item| replace(client, item)))
        .buffer_unordered(pace::MOST)
        .try_filter_map(async |not_taken| Ok(not_taken))
        .try_collect()
        .await
}

async fn replace(client: &Client, item: Item) -> Result<Option<NotTaken>, Error> {
    match client.send_in_turn(&Command::replace(&item.document)).await {
        Ok(_) => Ok(None),
        Err(error @ (Error::Refused { .. } | Error::TooLarge { .. })) => {
            Ok(Some(item.not_taken(&format!("is refused: {error}"))))
        }
        Err(error) => Err(error),
    }
}

impl Item {
    fn not_taken(&self, reason: &str) -> NotTaken {
        NotTaken { number: self.number, reason: reason.to_owned() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn batches_are_limited_in_number_and_length() {
        let items = |bytes: &[usize]| {
            let item = |(number, &bytes)| Item { number, document: Value::Null, bytes };
            let batches = batches(bytes.iter().enumerate().map(item));
            batches.iter().map(Vec::len).collect::<Vec<_>>()
        };
        assert_eq!(items(&[2800; 120]), [50, 50, 20]);
        assert_eq!(items(&[1 << 20; 3]), [2, 1]);
        assert_eq!(items(&[5 << 20, 1, 1]), [1, 2]);
        assert_eq!(items(&[]), [0; 0]);
    }
}
