//! The commands that find documents of a collection.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use super::Limits;
use super::collection::{Collection, Place, Stored};
use super::failure::Failure;
use super::filter::Filter;
use super::projection::Projection;
use super::reply::Reply;
use super::vector::{self, Metric};

/// A document that was found, and how similar it is to what was looked for.
type Found<'a> = (&'a Stored, Option<f64>);

/// Where a listing goes on.
struct PageState {
    after: Place,
    /// How many documents of the limit are left.
    left: Option<usize>,
}

impl Collection {
    pub fn find(&self, arguments: &Value, limits: &Limits) -> Result<Reply, Failure> {
        let filter = self.filter(arguments, limits)?;
        let projection = Projection::parse(arguments.get("projection"))?;
        let options = &arguments["options"];
        let limit = limit(options)?;
        let Some((vector, metric)) = self.sort_vector(arguments)? else {
            let (found, state) = self.list(&filter, options, limit, limits)?;
            let documents = found.iter().map(|stored| projection.apply(&stored.document));
            let documents = documents.collect::<Vec<_>>();
            return Ok(Reply::data(json!({ "documents": documents, "nextPageState": state })));
        };
        let most = limits.vector_limit;
        if limit.is_some_and(|limit| limit > most) {
            let problem =
                format!("limit options should not be greater than {most} for vector search");
            return Err(Failure::value("options.limit", &options["limit"], problem));
        }
        if options["skip"].as_u64().is_some_and(|skip| skip > 0) {
            let problem = "skip options should not be used with vector search";
            return Err(Failure::value("options.skip", &options["skip"], problem));
        }
        if !options["pageState"].is_null() {
            return Err(bad_sort("pageState is not supported with non-empty sort clause"));
        }
        let found = self.nearest(&filter, &vector, metric, limit.unwrap_or(most));
        let show = |found: &Found| show(found, &projection, options);
        let documents = found.iter().map(show).collect::<Vec<_>>();
        let status = sort_vector_status(options, &vector);
        let data = Some(json!({ "documents": documents, "nextPageState": null }));
        Ok(Reply { data, status, failures: Vec::new() })
    }

    pub fn find_one(&self, arguments: &Value, limits: &Limits) -> Result<Reply, Failure> {
        let filter = self.filter(arguments, limits)?;
        let projection = Projection::parse(arguments.get("projection"))?;
        let options = &arguments["options"];
        let (found, status) = match self.sort_vector(arguments)? {
            None => (self.matching(&filter).next().map(|(_, stored)| (stored, None)), None),
            Some((vector, metric)) => {
                let found = self.nearest(&filter, &vector, metric, 1).into_iter().next();
                (found, sort_vector_status(options, &vector))
            }
        };
        let document = found.map(|found| show(&found, &projection, options));
        let data = Some(json!({ "document": document }));
        Ok(Reply { data, status, failures: Vec::new() })
    }

    /// The document that a command about a single one is about.
    pub fn first(&self, filter: &Filter, arguments: &Value) -> Result<Option<Value>, Failure> {
        let found = match self.sort_vector(arguments)? {
            None => self.matching(filter).next().map(|(_, stored)| stored),
            Some((vector, metric)) => {
                self.nearest(filter, &vector, metric, 1).first().map(|(stored, _)| *stored)
            }
        };
        Ok(found.map(|stored| stored.document.clone()))
    }

    /// A page of the documents in the order of the database.
    fn list(
        &self,
        filter: &Filter,
        options: &Value,
        limit: Option<usize>,
        limits: &Limits,
    ) -> Result<(Vec<&Stored>, Option<String>), Failure> {
        if options["skip"].as_u64().is_some_and(|skip| skip > 0) {
            let problem = "skip options should be used with sort clause";
            return Err(Failure::value("options.skip", &options["skip"], problem));
        }
        // Each identifier is a query of its own, and all are answered at once.
        if filter.ids().is_some() {
            let found = self.matching(filter).map(|(_, stored)| stored);
            return Ok((found.take(limit.unwrap_or(usize::MAX)).collect(), None));
        }
        let state = match &options["pageState"] {
            Value::Null => None,
            state => Some(PageState::parse(state)?),
        };
        let (after, left) = match state {
            None => (None, limit),
            Some(state) => (Some(state.after), state.left),
        };
        let size = left.map_or(limits.page, |left| left.min(limits.page));
        let rest = self.matching(filter).filter(|(place, _)| Some(*place) > after.as_ref());
        let page = rest.take(size).collect::<Vec<_>>();
        // Only a page that is not full tells the database that it was the
        // last; so a full one may be followed by an empty one.
        let left = left.map(|left| left - page.len());
        let ends = page.len() < limits.page || left == Some(0);
        let last = page.last().filter(|_| !ends);
        let state = last.map(|(place, _)| PageState { after: (*place).clone(), left }.write());
        Ok((page.into_iter().map(|(_, stored)| stored).collect(), state))
    }

    /// The documents that are most similar to a vector, best first. Among
    /// equals, the younger comes first.
    fn nearest(
        &self,
        filter: &Filter,
        vector: &[f32],
        metric: Metric,
        limit: usize,
    ) -> Vec<Found<'_>> {
        let rate =
            |stored: &Stored| stored.vector.as_ref().map(|other| metric.similarity(vector, other));
        // Each identifier is a query of its own, and nobody sorts the answers.
        if let Some(ids) = filter.ids() {
            let stored = ids.iter().filter_map(|id| self.documents.get(&Place::of(id)));
            let stored = stored.filter(|stored| filter.matches(&stored.document));
            let found = stored.filter_map(|stored| Some((stored, Some(rate(stored)?))));
            return found.take(limit).collect();
        }
        let rated = self.matching(filter).filter_map(|(_, stored)| Some((stored, rate(stored)?)));
        let mut rated = rated.collect::<Vec<_>>();
        rated.sort_by(|(one, similarity), (other, other_similarity)| {
            other_similarity.total_cmp(similarity).then(other.made.cmp(&one.made))
        });
        rated.truncate(limit);
        rated.into_iter().map(|(stored, similarity)| (stored, Some(similarity))).collect()
    }

    /// The vector to search for, if the sort names one.
    fn sort_vector(&self, arguments: &Value) -> Result<Option<(Vec<f32>, Metric)>, Failure> {
        let Some(sort) = arguments.get("sort").and_then(Value::as_object) else { return Ok(None) };
        if sort.is_empty() {
            return Ok(None);
        }
        let Some(vector) = sort.get("$vector").filter(|_| sort.len() == 1) else {
            return Err(bad_sort("the stub sorts by '$vector' alone"));
        };
        let Some((dimension, metric)) = self.settings.vectors else {
            let message = "The command attempted to vector sort against a collection that does \
                           not have vectors enabled.\n\nResend the command using a collection \
                           with vectors enabled, or create a new collection.";
            return Err(Failure::request(
                "SORT",
                "UNSUPPORTED_VECTOR_SORT_FOR_COLLECTION",
                message,
            ));
        };
        match vector::parse_for(vector, dimension, metric)? {
            Some(vector) => Ok(Some((vector, metric))),
            None => Err(bad_sort("value of '$vector' must not be null")),
        }
    }
}

impl PageState {
    fn write(&self) -> String {
        STANDARD.encode(json!([self.after.token, self.after.id, self.left]).to_string())
    }

    fn parse(state: &Value) -> Result<Self, Failure> {
        let read = || {
            let text = STANDARD.decode(state.as_str()?).ok()?;
            let parts = serde_json::from_slice::<Value>(&text).ok()?;
            let after = Place { token: parts[0].as_u64()?, id: parts[1].as_str()?.to_owned() };
            let left = parts[2].as_u64().and_then(|left| usize::try_from(left).ok());
            Some(Self { after, left })
        };
        read().ok_or_else(|| Failure::value("options.pageState", state, "not a page state"))
    }
}

fn show((stored, similarity): &Found, projection: &Projection, options: &Value) -> Value {
    let mut shown = projection.apply(&stored.document);
    if options["includeSimilarity"] == true
        && let Some(similarity) = similarity
    {
        // The database answers a float.
        #[expect(clippy::cast_possible_truncation, reason = "that is the rounding meant")]
        let similarity = *similarity as f32;
        shown["$similarity"] = vector::float(similarity);
    }
    shown
}

fn sort_vector_status(options: &Value, vector: &[f32]) -> Option<Value> {
    let wanted = options["includeSortVector"] == true;
    let elements = || vector.iter().map(|&element| vector::float(element)).collect::<Vec<_>>();
    wanted.then(|| json!({ "sortVector": elements() }))
}

/// As the options have it; 0 is none.
fn limit(options: &Value) -> Result<Option<usize>, Failure> {
    let limit = &options["limit"];
    if limit.is_null() {
        return Ok(None);
    }
    match limit.as_u64().and_then(|limit| usize::try_from(limit).ok()) {
        Some(0) => Ok(None),
        Some(limit) => Ok(Some(limit)),
        None => {
            let problem = "limit should be greater than or equal to `0`";
            Err(Failure::value("options.limit", limit, problem))
        }
    }
}

fn bad_sort(problem: &str) -> Failure {
    let message = format!(
        "Sort clause used by command not valid.\nProblem: {problem}.\n\n\
         Resend the command with a valid sort clause."
    );
    Failure::request("SORT", "SORT_CLAUSE_INVALID", message)
}
