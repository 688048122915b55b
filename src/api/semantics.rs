//! What a row says about an endpoint besides its parameters: how it reads times, its empty answer, the shape of its errors.

/// The content type of gRPC.
const GRPC: &str = "application/grpc";

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
    /// A gRPC stream without a message.
    Frames,
    /// A gRPC answer of one message, which is the upstream's to write: it is asked for what matches nothing.
    Message,
}

impl Empty {
    /// The body of the answer.
    pub fn body(self) -> &'static str {
        match self {
            Empty::Vector => r#"{"status":"success","data":{"resultType":"vector","result":[]}}"#,
            Empty::Matrix => r#"{"status":"success","data":{"resultType":"matrix","result":[]}}"#,
            Empty::List => r#"{"status":"success","data":[]}"#,
            Empty::Lines => "{\"status\":\"success\",\"has_more\":false}\n",
            Empty::Frames | Empty::Message => "",
        }
    }

    /// The `content-type` of the answer.
    pub fn content_type(self) -> &'static str {
        match self {
            Empty::Vector | Empty::Matrix | Empty::List | Empty::Lines => "application/json",
            Empty::Frames | Empty::Message => GRPC,
        }
    }
}

/// How an error is told to the client.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ErrorShape {
    /// Prometheus's error object, which Grafana and every other client of the API shows.
    Prometheus,
    /// A gRPC status with a message in plain text.
    Grpc,
    /// A JSON string, as Alertmanager's own errors are.
    Alertmanager,
}

impl ErrorShape {
    /// The shape for a client that called a gRPC method without speaking gRPC.
    pub fn without_grpc(self) -> ErrorShape {
        match self {
            ErrorShape::Grpc => ErrorShape::Prometheus,
            ErrorShape::Prometheus | ErrorShape::Alertmanager => self,
        }
    }

    /// The `content-type` of an error.
    pub fn content_type(self) -> &'static str {
        match self {
            ErrorShape::Prometheus | ErrorShape::Alertmanager => "application/json",
            ErrorShape::Grpc => GRPC,
        }
    }
}
