//! The history of the chart: frames a second and bytes saved an hour, as a Prometheus recorded them.
//!
//! May: ask the Prometheus that the user names. Must never: follow it anywhere else, or say its URL, which may hold a password.

use std::collections::BTreeMap;
use std::time::Duration;

use av1_crds::metrics;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde::Deserialize;

use super::model::{HISTORY_SPAN, Point};

/// Seconds between two values.
const STEP: i64 = 60;
/// Longest wait for an answer.
const LIMIT: Duration = Duration::from_secs(10);

/// What it knows about the time up to `now`, in seconds since 1970; or in a few words why it does not tell.
pub(super) async fn history(url: &str, namespace: Option<&str>, now: i64) -> Result<Vec<Point>, String> {
    let http = reqwest::Client::builder()
        .user_agent(concat!("kubectl-av1/", env!("CARGO_PKG_VERSION")))
        .timeout(LIMIT)
        .redirect(reqwest::redirect::Policy::none())
        .build()
        .map_err(|error| error.to_string())?;
    let (rates, saved) = queries(namespace);
    let mut points: BTreeMap<i64, Point> = BTreeMap::new();
    for (at, rate) in series(&http, url, &rates, now).await? {
        points.entry(at).or_insert(Point { at, ..Point::default() }).frames_per_second = Some(rate);
    }
    for (at, bytes) in series(&http, url, &saved, now).await? {
        points.entry(at).or_insert(Point { at, ..Point::default() }).saved = Some(bytes);
    }
    Ok(points.into_values().collect())
}

/// Frames a second, and bytes saved in the hour before.
fn queries(namespace: Option<&str>) -> (String, String) {
    let of = |label: &str| {
        let quoted = namespace.map(|name| name.replace('\\', r"\\").replace('"', "\\\""));
        let namespace = quoted.map(|name| format!("namespace=\"{name}\""));
        namespace.into_iter().chain((!label.is_empty()).then(|| label.to_owned())).collect::<Vec<_>>().join(",")
    };
    (
        format!("sum({}{{{}}})", metrics::JOB_FRAMES_PER_SECOND.name, of("")),
        format!("clamp_min(sum(delta({}{{{}}}[1h])), 0)", metrics::LIBRARY_BYTES.name, of("state=\"freed\"")),
    )
}

async fn series(http: &reqwest::Client, url: &str, query: &str, now: i64) -> Result<Vec<(i64, f64)>, String> {
    let encoded = utf8_percent_encode(query, NON_ALPHANUMERIC);
    let address = format!(
        "{}/api/v1/query_range?query={encoded}&start={}&end={now}&step={STEP}",
        url.trim_end_matches('/'),
        now - HISTORY_SPAN
    );
    let in_words = |error: reqwest::Error| {
        let mut cause: &dyn std::error::Error = &error;
        while let Some(deeper) = cause.source() {
            cause = deeper;
        }
        let cause = cause.to_string();
        if error.is_timeout() { format!("no answer within {} s", LIMIT.as_secs()) } else { cause }
    };
    let answer = http.get(address).send().await.map_err(|error| in_words(error.without_url()))?;
    let status = answer.status();
    let text = answer.text().await.map_err(|error| in_words(error.without_url()))?;
    read(&text).map_err(|why| if status.is_success() { why } else { format!("the answer is {status}: {why}") })
}

#[derive(Deserialize)]
struct Answer {
    #[serde(default)]
    error: Option<String>,
    #[serde(default)]
    data: Option<Data>,
}

#[derive(Deserialize)]
struct Data {
    result: Vec<Series>,
}

#[derive(Deserialize)]
struct Series {
    /// Seconds, and a number as text.
    values: Vec<(f64, String)>,
}

/// Times in seconds and values of the one series in an answer.
fn read(text: &str) -> Result<Vec<(i64, f64)>, String> {
    let answer: Answer = serde_json::from_str(text).map_err(|_| "that is no answer of a Prometheus".to_owned())?;
    if let Some(error) = answer.error {
        return Err(error);
    }
    let series = answer.data.ok_or("an answer without data")?.result.into_iter().next();
    let values = series.map(|series| series.values).unwrap_or_default();
    let numbers = values.into_iter().filter_map(|(at, value)| Some((at as i64, value.parse::<f64>().ok()?)));
    Ok(numbers.filter(|(_, value)| value.is_finite()).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_read_and_one_that_is_none_says_so() {
        let text = r#"{"status":"success","data":{"resultType":"matrix","result":[{"metric":{},"values":[[1700000000,"12.5"],[1700000060.5,"NaN"],[1700000120,"7"]]}]}}"#;
        assert_eq!(read(text), Ok(vec![(1_700_000_000, 12.5), (1_700_000_120, 7.0)]));
        assert_eq!(read(r#"{"status":"success","data":{"resultType":"matrix","result":[]}}"#), Ok(Vec::new()));
        assert_eq!(
            read(r#"{"status":"error","errorType":"bad_data","error":"parse error"}"#),
            Err("parse error".into())
        );
        assert!(read("<html>").is_err() && read("{}").is_err());
    }

    #[test]
    fn queries_are_of_the_namespace_or_of_all() {
        let (rates, saved) = queries(Some("a\"b"));
        assert_eq!(rates, "sum(av1_encode_job_frames_per_second{namespace=\"a\\\"b\"})");
        assert_eq!(saved, "clamp_min(sum(delta(av1_library_bytes{namespace=\"a\\\"b\",state=\"freed\"}[1h])), 0)");
        assert_eq!(queries(None).0, "sum(av1_encode_job_frames_per_second{})");
    }

    #[test]
    fn fuzz_any_answer_is_read() {
        let text = br#"{"status":"success","data":{"result":[{"values":[[1,"2"]]}]}}"#;
        av1_fuzz::Fuzz::new("prometheus").sample(text).run(|bytes| {
            let _ = read(&String::from_utf8_lossy(bytes));
        });
    }
}
