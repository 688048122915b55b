//! What a row says about an endpoint besides its parameters: how it reads times, its empty answer, the shape of its errors.

/// How an endpoint reads times. Limits on times apply to a request as its row says here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Times {
    /// Evaluated at `time`, or now.
    Instant,
    /// Evaluated at each `step` from `start` to `end`.
    Range,
    /// Looks for what exists from `start` to `end`, each of which may be absent.
    Between,
    /// Looks for what exists from `start` to `end`; without `start`, in the last hour.
    LastHour,
    /// Reads the samples of now, without a parameter.
    Now,
    /// Reads the samples between two times of each query in its message.
    Message,
    /// Reads no samples: no limit on times applies.
    Unread,
}

/// The shape of a successful answer that holds nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Empty {
    /// No series, at one time.
    Vector,
    /// No series, over a time range.
    Matrix,
    /// No labels, series or exemplars.
    List,
    /// No line but the last (`searchTrailer` in Prometheus 3.16's web/api/v1/search.go).
    Lines,
}

impl Empty {
    /// The body of the answer.
    pub fn body(self) -> &'static str {
        match self {
            Empty::Vector => r#"{"status":"success","data":{"resultType":"vector","result":[]}}"#,
            Empty::Matrix => r#"{"status":"success","data":{"resultType":"matrix","result":[]}}"#,
            Empty::List => r#"{"status":"success","data":[]}"#,
            Empty::Lines => "{\"status\":\"success\",\"has_more\":false}\n",
        }
    }

    /// The `content-type` of the answer.
    pub fn content_type(self) -> &'static str {
        match self {
            Empty::Vector | Empty::Matrix | Empty::List | Empty::Lines => "application/json",
        }
    }
}

/// How an error is told to the client.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ErrorShape {
    /// Prometheus's error object, which Grafana and every other client of the API shows.
    Prometheus,
}

impl ErrorShape {
    /// The `content-type` of an error.
    pub fn content_type(self) -> &'static str {
        match self {
            ErrorShape::Prometheus => "application/json",
        }
    }
}
