//! Lists that come in pages.

use bugle_api::{PAGE_MAX, Page};
use bugle_client::ClientError;
use clap::Args;

/// How much of a list is shown.
#[derive(Debug, Clone, Copy, Args)]
pub(crate) struct Limit {
    /// The most that are shown
    #[arg(long, value_name = "NUMBER", default_value_t = 1_000, value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) limit: u32,
}

/// What was found, and whether there is more.
#[derive(Debug)]
pub(crate) struct Found<T> {
    /// At most as many as were asked for.
    pub(crate) items: Vec<T>,
    is_cut: bool,
}

impl<T> Default for Found<T> {
    fn default() -> Self {
        Self { items: Vec::new(), is_cut: false }
    }
}

impl Limit {
    /// Goes through the pages that `fetch` brings, for a cursor and a size, until there are enough.
    pub(crate) async fn collect<T>(
        self,
        mut fetch: impl AsyncFnMut(Option<String>, Option<u32>) -> Result<Page<T>, ClientError>,
    ) -> Result<Found<T>, ClientError> {
        let limit = self.limit as usize;
        let mut items = Vec::new();
        let mut cursor = None;
        loop {
            let size = PAGE_MAX.min(self.limit - items.len() as u32);
            let page = fetch(cursor, Some(size)).await?;
            items.extend(page.items);
            cursor = page.next_cursor;
            if cursor.is_none() || items.len() >= limit {
                return Ok(Found { items, is_cut: cursor.is_some() });
            }
        }
    }
}

impl<T> Found<T> {
    /// As many as are shown, of items of which one more was asked for.
    pub(crate) fn cut(mut items: Vec<T>, limit: Limit) -> Self {
        let is_cut = items.len() > limit.limit as usize;
        items.truncate(limit.limit as usize);
        Self { items, is_cut }
    }

    /// What to say below a table of them.
    pub(crate) fn note(&self) -> String {
        if self.is_cut {
            format!("\n\nThese are the first {}; --limit shows more.", self.items.len())
        } else {
            String::new()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn collect(limit: u32) -> Found<u32> {
        let pages = async |cursor: Option<String>, size: Option<u32>| {
            let start: u32 = cursor.map_or(0, |cursor| cursor.parse().expect("a number"));
            let size = size.expect("a size").min(2);
            let next_cursor = (start + size < 5).then(|| (start + size).to_string());
            Ok(Page { items: (start..(start + size).min(5)).collect(), next_cursor })
        };
        Limit { limit }.collect(pages).await.expect("pages")
    }

    #[tokio::test]
    async fn pages_are_followed_until_there_are_enough() {
        let all = collect(9).await;
        assert_eq!((all.items.as_slice(), all.note().as_str()), ([0, 1, 2, 3, 4].as_slice(), ""));
        let some = collect(3).await;
        assert_eq!(some.items, [0, 1, 2]);
        assert!(some.note().contains("first 3"), "{}", some.note());
    }
}
