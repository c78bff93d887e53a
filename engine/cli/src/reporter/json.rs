//! One JSON object a line: every event with its time. A public interface, for programs.

use fornax_core::event::{Event, EventSink};
use jiff::Timestamp;
use serde_json::Value;

use super::{Out, Reporter};

pub struct JsonReporter {
    out: Out,
}

impl JsonReporter {
    pub fn new(out: Out) -> Self {
        Self { out }
    }

    fn object(&self, mut value: Value) {
        if let Value::Object(object) = &mut value {
            let time = Timestamp::now().strftime("%Y-%m-%dT%H:%M:%S%.3fZ").to_string();
            object.insert("time".into(), time.into());
        }
        self.out.line(&value.to_string());
    }
}

impl EventSink for JsonReporter {
    fn emit(&self, event: Event) {
        self.object(serde_json::to_value(&event).expect("events consist of texts, numbers and lists"));
    }
}

impl Reporter for JsonReporter {
    /// Text for people has no place among the objects: what it says is in the events and in the report.
    fn text(&self, _text: &str) {}
}
