//! The deletion on a Prometheus, in two steps as its admin API has them: `delete_series` hides samples at once, `clean_tombstones` frees
//! their space later.
//!
//! One metric of one tenant is deleted at a time, so that neither Prometheus nor whoever reads the log has to take more at once. Before
//! each, Prometheus is asked which series the selector matches; if one of them is not the tenant's, nothing more is deleted.

use super::super::{Failure, http, print};
use super::{Retention, tenants};
use http::{Answer, Ask, Client};
use promql_tenancy_filter::config::Config;
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::io::{IsTerminal, Write};
use std::thread::sleep;
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use url::form_urlencoded;

/// More tenants are not looked for.
const MAX_TENANTS: usize = 100_000;
/// So many series of a metric are looked at.
const MAX_SERIES: usize = 1_000;

pub struct Deletion<'r> {
    retention: &'r Retention,
    config: &'r Config,
    client: Client,
    base: String,
    path: String,
}

/// What a round did.
#[derive(Default)]
struct Round {
    metrics: usize,
    series: usize,
    /// Something was left out that has a setting.
    left_out: bool,
}

impl<'r> Deletion<'r> {
    pub fn new(retention: &'r Retention, config: &'r Config, url: &str) -> Result<Self, Failure> {
        if let Some(reason) = tenants::refusal(config) {
            return Err(Failure::No(Some(reason.to_owned())));
        }
        let (base, path) = http::server(url)?;
        Ok(Deletion { retention, config, client: retention.reach.client(None)?, base, path })
    }

    pub fn run(&self) -> Result<(), Failure> {
        loop {
            let round = self.round()?;
            self.summary(&round)?;
            let mut waited = Duration::ZERO;
            let by_default = self.retention.every.map(|every| (every / 2).min(Duration::from_secs(3_600)));
            if let Some(wait) = self.retention.clean_after.or(by_default).filter(|_| round.metrics > 0) {
                sleep(wait);
                waited = wait;
                self.admin("clean_tombstones", String::new())?;
                self.log(&json!({"cleaned": true}), "cleaned the tombstones: the space is free")?;
            }
            match self.retention.every {
                Some(every) => sleep(every.saturating_sub(waited)),
                None if round.left_out => return Err(Failure::No(None)),
                None => return Ok(()),
            }
        }
    }

    fn round(&self) -> Result<Round, Failure> {
        let now = self.now()?;
        let mut round = Round::default();
        for id in self.tenants()? {
            let Some(retention) = tenants::retention(self.config, &id) else { continue };
            let scope = match tenants::selector(self.config, &id) {
                Ok(scope) => scope,
                Err(reason) => {
                    round.left_out = true;
                    self.log(&json!({"tenant": id, "left_out": reason}), &format!("{id}: left out: {reason}"))?;
                    continue;
                }
            };
            let before = now.saturating_sub(retention);
            if before <= 0 {
                continue;
            }
            self.tenant(&id, scope.written(), before, &mut round)?;
        }
        Ok(round)
    }

    /// Deletes what is older of one tenant, metric by metric.
    fn tenant(&self, id: &str, matcher: &str, before: i64, round: &mut Round) -> Result<(), Failure> {
        let most = self.retention.max_metrics;
        let limit = most.saturating_add(1).to_string();
        let selector = format!("{{{matcher}}}");
        let end = seconds(before);
        let mut names = strings(
            &self.get("/api/v1/label/__name__/values", &[("match[]", &selector), ("end", &end), ("limit", &limit)])?,
        );
        if names.len() > most {
            names.truncate(most);
            round.left_out = true;
            let text = format!("{id}: more than {most} metrics: the rest waits for the next round (--max-metrics)");
            self.log(&json!({"tenant": id, "left_out": "more metrics than --max-metrics"}), &text)?;
        }
        // What has no name, at last.
        names.push(String::new());
        let all = names.len();
        for (index, name) in names.iter().enumerate() {
            progress(id, index, all);
            let selector = format!("{{{matcher},__name__={}}}", Value::from(&**name));
            let series = self.series(id, &selector, &end)?;
            if series == 0 {
                continue;
            }
            if self.retention.apply {
                let mut form = form_urlencoded::Serializer::new(String::new());
                let form = form.append_pair("match[]", &selector).append_pair("end", &end).finish();
                self.admin("delete_series", form)?;
            }
            (round.metrics, round.series) = (round.metrics + 1, round.series + series);
            let (done, number) = (self.done(), at_least(series));
            let time = time(before);
            let record = json!({"tenant": id, "selector": selector, "series": series, "before": time, "deleted": self.retention.apply});
            self.log(&record, &format!("{id}: {done} {number} series of {selector} before {time}"))?;
        }
        progress_ends();
        Ok(())
    }

    /// How many series the selector matches. All of them are the tenant's, or nothing more is done.
    fn series(&self, id: &str, selector: &str, end: &str) -> Result<usize, Failure> {
        let limit = MAX_SERIES.to_string();
        let answer = self.get("/api/v1/series", &[("match[]", selector), ("end", end), ("limit", &limit)])?;
        let series = answer.as_array().map(Vec::as_slice).unwrap_or_default();
        let label = &**self.config.label();
        match series.iter().find(|series| series.get(label).and_then(Value::as_str) != Some(id)) {
            Some(other) => Err(Failure::Broken(format!(
                "{selector} matches {other}, which is not {id}'s: nothing more is deleted. Is this a Prometheus?"
            ))),
            None => Ok(series.len()),
        }
    }

    /// The tenants that Prometheus has data of, and those that have a setting of their own.
    fn tenants(&self) -> Result<BTreeSet<String>, Failure> {
        let label = self.config.label();
        let limit = MAX_TENANTS.to_string();
        let found = strings(&self.get(&format!("/api/v1/label/{label}/values"), &[("limit", &limit)])?);
        Ok(found.into_iter().filter(|id| self.retention.is_meant(id)).collect())
    }

    /// The earlier of this machine's time and Prometheus's, in milliseconds: a clock that is fast would have too much deleted.
    fn now(&self) -> Result<i64, Failure> {
        let own = SystemTime::now().duration_since(UNIX_EPOCH).ok().and_then(|now| i64::try_from(now.as_millis()).ok());
        let answer = self.get("/api/v1/query", &[("query", "time()")])?;
        let of_prometheus =
            answer.pointer("/result/0").and_then(Value::as_f64).map(|seconds| (seconds * 1_000.0) as i64);
        match own.zip(of_prometheus) {
            Some((own, of_prometheus)) => Ok(own.min(of_prometheus)),
            None => Err(Failure::Broken("Prometheus does not say what time it is".to_owned())),
        }
    }

    fn get(&self, path: &str, parameters: &[(&str, &str)]) -> Result<Value, Failure> {
        let query = form_urlencoded::Serializer::new(String::new()).extend_pairs(parameters).finish();
        let target = format!("{}{path}?{query}", self.path);
        let answer =
            self.ask(Ask { method: "GET".to_owned(), target, headers: self.retention.headers.clone(), body: None })?;
        let json = answer.json();
        match json.get("data") {
            Some(data) if answer.is_success() => Ok(data.clone()),
            Some(_) | None => Err(Failure::Broken(format!("{path}: {}", answer.problem()))),
        }
    }

    fn admin(&self, what: &str, form: String) -> Result<(), Failure> {
        let mut headers = self.retention.headers.clone();
        headers.push(("content-type".to_owned(), "application/x-www-form-urlencoded".to_owned()));
        let target = format!("{}/api/v1/admin/tsdb/{what}", self.path);
        let answer = self.ask(Ask { method: "POST".to_owned(), target, headers, body: Some(form.into_bytes()) })?;
        if answer.is_success() {
            return Ok(());
        }
        let problem = answer.problem();
        let help =
            if problem.contains("admin APIs disabled") { ": start Prometheus with --web.enable-admin-api" } else { "" };
        Err(Failure::Broken(format!("{what}: {problem}{help}")))
    }

    fn ask(&self, ask: Ask) -> Result<Answer, Failure> {
        self.client
            .send(&self.base, &ask)
            .map_err(|error| Failure::Broken(format!("{}{}: {error}", self.base, self.path)))
    }

    fn done(&self) -> &'static str {
        if self.retention.apply { "deleted" } else { "would delete" }
    }

    fn summary(&self, round: &Round) -> Result<(), Failure> {
        let Round { metrics, series, left_out } = *round;
        let record =
            json!({"metrics": metrics, "series": series, "left_out": left_out, "deleted": self.retention.apply});
        let more = if self.retention.apply { "" } else { ". Nothing was deleted: add --apply" };
        self.log(&record, &format!("{} {series} series of {metrics} metrics{more}", self.done()))
    }

    /// One line of the log.
    fn log(&self, record: &Value, text: &str) -> Result<(), Failure> {
        let now =
            SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |now| i64::try_from(now.as_millis()).unwrap_or(0));
        if self.retention.json {
            let mut record = record.clone();
            if let Some(object) = record.as_object_mut() {
                object.insert("time".to_owned(), time(now).into());
            }
            return print(&format!("{record}\n"));
        }
        print(&format!("{} {text}\n", time(now)))
    }
}

fn at_least(series: usize) -> String {
    if series < MAX_SERIES { series.to_string() } else { format!("{series} or more") }
}

fn strings(data: &Value) -> Vec<String> {
    let list = data.as_array().map(Vec::as_slice).unwrap_or_default();
    list.iter().filter_map(Value::as_str).map(str::to_owned).collect()
}

/// Unix time as Prometheus reads it.
fn seconds(milliseconds: i64) -> String {
    format!("{}.{:03}", milliseconds.div_euclid(1_000), milliseconds.rem_euclid(1_000))
}

/// RFC 3339, in UTC and to the second.
fn time(milliseconds: i64) -> String {
    let seconds = milliseconds.div_euclid(1_000);
    let (day, second) = (seconds.div_euclid(86_400), seconds.rem_euclid(86_400));
    // Days to a date, as in "chrono-compatible low-level date algorithms" (H. Hinnant): years begin in March.
    let shifted = day + 719_468;
    let era = shifted.div_euclid(146_097);
    let of_era = shifted.rem_euclid(146_097);
    let year_of_era = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month = (5 * of_year + 2) / 153;
    let date = of_year - (153 * month + 2) / 5 + 1;
    let month = if month < 10 { month + 3 } else { month - 9 };
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    format!("{year:04}-{month:02}-{date:02}T{:02}:{:02}:{:02}Z", second / 3_600, second / 60 % 60, second % 60)
}

fn progress(id: &str, done: usize, all: usize) {
    let mut err = std::io::stderr().lock();
    if err.is_terminal() {
        // Nobody minds if it can't be shown.
        let _ = write!(err, "\r\x1b[K{id}: {done} of {all} metrics");
        let _ = err.flush();
    }
}

fn progress_ends() {
    let mut err = std::io::stderr().lock();
    if err.is_terminal() {
        let _ = write!(err, "\r\x1b[K");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_written_as_dates() {
        assert_eq!(time(0), "1970-01-01T00:00:00Z");
        assert_eq!(time(951_782_400_000), "2000-02-29T00:00:00Z");
        assert_eq!(time(1_795_993_199_999), "2026-11-29T22:59:59Z");
        assert_eq!(time(-1), "1969-12-31T23:59:59Z");
        assert_eq!(seconds(1_500), "1.500");
    }
}
