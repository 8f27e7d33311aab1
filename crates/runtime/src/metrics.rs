//! What a service measures, in the text format that Prometheus reads.
//!
//! A name that ends in `_total` is of a counter, which only grows while the process lives; any other is
//! of a gauge.

use std::fmt::{Display, Write};

/// What the text is to be served as.
pub const METRICS_CONTENT_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

/// The text, as it is written.
#[derive(Debug)]
pub struct Metrics {
    prefix: &'static str,
    text: String,
}

impl Metrics {
    /// Nothing yet; every name will start with `prefix` and an underscore.
    #[must_use]
    pub const fn new(prefix: &'static str) -> Self {
        Self { prefix, text: String::new() }
    }

    /// One value.
    pub fn add(&mut self, name: &str, help: &str, value: u64) {
        self.head(name, help);
        let _ = writeln!(self.text, "{}_{name} {value}", self.prefix);
    }

    /// A value for each word of a label.
    pub fn add_each<L: Display>(
        &mut self,
        name: &str,
        help: &str,
        label: &str,
        values: impl IntoIterator<Item = (L, u64)>,
    ) {
        self.head(name, help);
        for (word, value) in values {
            let word = escaped(&word.to_string());
            let _ = writeln!(self.text, "{}_{name}{{{label}=\"{word}\"}} {value}", self.prefix);
        }
    }

    /// What was written.
    #[must_use]
    pub fn into_text(self) -> String {
        self.text
    }

    fn head(&mut self, name: &str, help: &str) {
        let kind = if name.ends_with("_total") { "counter" } else { "gauge" };
        let _ = writeln!(self.text, "# HELP {0}_{name} {help}\n# TYPE {0}_{name} {kind}", self.prefix);
    }
}

fn escaped(word: &str) -> String {
    word.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_value_has_its_help_and_its_type() {
        let mut metrics = Metrics::new("bugle_gateway");
        metrics.add("connections", "Connections that are open.", 3);
        metrics.add_each("outcomes_total", "Outcomes.", "outcome", [("executed", 2), ("refused", 0)]);
        assert_eq!(
            metrics.into_text(),
            "# HELP bugle_gateway_connections Connections that are open.\n\
             # TYPE bugle_gateway_connections gauge\n\
             bugle_gateway_connections 3\n\
             # HELP bugle_gateway_outcomes_total Outcomes.\n\
             # TYPE bugle_gateway_outcomes_total counter\n\
             bugle_gateway_outcomes_total{outcome=\"executed\"} 2\n\
             bugle_gateway_outcomes_total{outcome=\"refused\"} 0\n"
        );
    }

    #[test]
    fn a_label_cannot_end_its_line() {
        let mut metrics = Metrics::new("b");
        metrics.add_each("up", "Up.", "gateway", [("a\"} 1\nb\\", 1)]);
        assert!(metrics.into_text().ends_with("b_up{gateway=\"a\\\"} 1\\nb\\\\\"} 1\n"));
    }
}
