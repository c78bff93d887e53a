//! A small Resource Manager in memory for the tests of the lifecycle: it keeps what is put there, refuses what Azure
//! refuses (deleting what is in use, capturing what is not generalized), and can be told to fail.

use std::collections::{BTreeMap, HashMap};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use bytes::Bytes;
use serde_json::{Value, json};

use crate::transport::{Transport, TransportError};

const HOST: &str = "https://management.azure.com";

#[derive(Default)]
struct State {
    /// By lower-case id.
    resources: BTreeMap<String, Value>,
    /// Polls that are left until an operation is finished, and what it says then.
    operations: HashMap<String, (u32, Value)>,
    log: Vec<String>,
    /// `METHOD part-of-path` and what to answer, once.
    faults: Vec<(String, Fault)>,
}

#[derive(Clone)]
pub enum Fault {
    Refuse(u16, &'static str),
    /// The operation is accepted and fails.
    FailLater(&'static str),
    /// It is carried out, but the answer is lost.
    CutAfter,
    CutBefore,
}

#[derive(Default)]
pub struct FakeCloud {
    state: Mutex<State>,
    /// Nothing is answered any more: the process that asks is as good as dead.
    pub dead: AtomicBool,
}

impl FakeCloud {
    pub fn new() -> Arc<Self> {
        let cloud = Arc::new(Self::default());
        cloud.put_foreign("/subscriptions/sub", json!({"state": "Enabled"}));
        cloud.put_foreign("/subscriptions/sub/resourceGroups/rg1", json!({"location": "westeurope"}));
        cloud
    }

    /// Something that no build made.
    pub fn put_foreign(&self, id: &str, mut body: Value) {
        body["id"] = id.into();
        body["name"] = crate::id::name(id).into();
        self.state.lock().unwrap().resources.insert(id.to_lowercase(), body);
    }

    pub fn fail(&self, line: &str, fault: Fault) {
        self.state.lock().unwrap().faults.push((line.to_lowercase(), fault));
    }

    pub fn get(&self, id: &str) -> Option<Value> {
        self.state.lock().unwrap().resources.get(&id.to_lowercase()).cloned()
    }

    /// The last segments of everything that exists.
    pub fn names(&self) -> Vec<String> {
        self.state.lock().unwrap().resources.keys().map(|k| crate::id::name(k).to_owned()).collect()
    }

    pub fn log(&self) -> Vec<String> {
        self.state.lock().unwrap().log.clone()
    }

    /// Position of the first request that begins so and whose path contains this.
    pub fn position(&self, method: &str, part: &str) -> Option<usize> {
        let part = part.to_lowercase();
        self.log().iter().position(|l| l.starts_with(method) && l.to_lowercase().contains(&part))
    }

    pub fn count(&self, method: &str, part: &str) -> usize {
        let part = part.to_lowercase();
        self.log().iter().filter(|l| l.starts_with(method) && l.to_lowercase().contains(&part)).count()
    }
}

type Answer = (u16, Vec<(&'static str, String)>, Value);

fn error(status: u16, code: &str) -> Answer {
    (status, Vec::new(), json!({"error": {"code": code, "message": format!("{code} it is.")}}))
}

impl State {
    fn accept(&mut self, status: u16, body: Value, end: Value) -> Answer {
        let path = format!("/operations/{}", self.operations.len());
        self.operations.insert(path.clone(), (1, end));
        let headers = vec![
            ("azure-asyncoperation", format!("{HOST}{path}?api-version=x")),
            ("retry-after", "0".into()),
        ];
        (status, headers, body)
    }

    fn refers(&self, id: &str, except: &str) -> bool {
        self.resources.iter().any(|(key, body)| {
            key != id && !key.contains(except) && body.to_string().to_lowercase().contains(&format!("\"{id}"))
        })
    }

    fn put(&mut self, path: &str, mut body: Value, end: Value) -> Answer {
        let key = path.to_lowercase();
        let (group, kind) = (crate::id::group_of(path).unwrap_or_default().to_lowercase(), kind(&key));
        if kind != "resourcegroups"
            && !self.resources.contains_key(&format!("/subscriptions/sub/resourcegroups/{group}"))
        {
            return error(404, "ResourceGroupNotFound");
        }
        body["id"] = path.into();
        body["name"] = crate::id::name(path).into();
        body["properties"]["provisioningState"] = "Succeeded".into();
        match kind.as_str() {
            "publicipaddresses" => body["properties"]["ipAddress"] = "127.9.9.9".into(),
            "networkinterfaces" => {
                body["properties"]["ipConfigurations"][0]["properties"]["privateIPAddress"] =
                    "10.0.0.4".into();
            }
            "images" => {
                let machine = body["properties"]["sourceVirtualMachine"]["id"].as_str().unwrap_or_default();
                let machine = self.resources.get(&machine.to_lowercase()).cloned().unwrap_or_default();
                if machine["generalized"] != true {
                    return error(409, "OperationNotAllowed");
                }
            }
            "virtualmachines" => {
                let storage = body["properties"]["storageProfile"].clone();
                let disks = [&storage["osDisk"]]
                    .into_iter()
                    .chain(storage["dataDisks"].as_array().into_iter().flatten());
                for disk in disks {
                    let name = disk["name"].as_str().unwrap_or_default();
                    let id = format!(
                        "/subscriptions/sub/resourceGroups/{group}/providers/Microsoft.Compute/disks/{name}"
                    );
                    self.resources
                        .insert(id.to_lowercase(), json!({"id": id, "name": name, "managedBy": path}));
                }
                body["properties"]["osProfile"].as_object_mut().unwrap().remove("adminPassword");
            }
            _ => {}
        }
        self.resources.insert(key, body.clone());
        if kind == "resourcegroups" {
            return (201, Vec::new(), body);
        }
        body["properties"]["provisioningState"] = "Creating".into();
        self.accept(201, body, end)
    }

    fn delete(&mut self, path: &str) -> Answer {
        let key = path.to_lowercase();
        if !self.resources.contains_key(&key) {
            return (204, Vec::new(), Value::Null);
        }
        match kind(&key).as_str() {
            "resourcegroups" => {
                let inside = format!("{key}/");
                self.resources.retain(|k, _| *k != key && !k.starts_with(&inside));
            }
            "virtualmachines" => {
                self.resources.remove(&key);
                self.resources.retain(|k, body| {
                    !(k.contains("/disks/")
                        && body["managedBy"].as_str().is_some_and(|m| m.to_lowercase() == key))
                });
            }
            "networkinterfaces" if self.refers(&key, "/disks/") => return error(400, "NicInUse"),
            "virtualnetworks" | "publicipaddresses" | "networksecuritygroups"
                if self.refers(&key, "/virtualmachines/") =>
            {
                return error(400, "InUseSubnetCannotBeDeleted");
            }
            _ => {
                self.resources.remove(&key);
            }
        }
        self.accept(202, Value::Null, json!({"status": "Succeeded"}))
    }

    fn handle(&mut self, method: &str, path: &str, query: &str, body: Value, end: Value) -> Answer {
        let key = path.to_lowercase();
        if let Some((left, end)) = self.operations.get_mut(path) {
            if *left == 0 {
                return (200, Vec::new(), end.clone());
            }
            *left -= 1;
            return (200, Vec::new(), json!({"status": "InProgress"}));
        }
        let list = |part: &str| key.ends_with(part);
        match method {
            "GET" if list("/versions") => (200, Vec::new(), json!([{"name": "1.0.0"}, {"name": "1.2.0"}])),
            "GET" if key.contains("/versions/") => (
                200,
                Vec::new(),
                json!({"id": path, "properties": {"hyperVGeneration": "V2", "dataDiskImages": [{"lun": 0}]}}),
            ),
            "GET" if list("/skus") => (
                200,
                Vec::new(),
                json!({"value": [{"resourceType": "virtualMachines", "name": "Standard_B1s", "locations": ["westeurope"],
                    "capabilities": [{"name": "HyperVGenerations", "value": "V1,V2"}]}]}),
            ),
            "GET" if list("/resourcegroups") || list("/sub/resources") || list("/virtualnetworks") => {
                let tagged = query.contains("%24filter");
                // As Resource Manager does: a list by name and value of a tag does not show tags.
                let hides_tags = query.contains("tagValue") && list("/sub/resources");
                let of_kind = |k: &str| match () {
                    () if list("/resourcegroups") => kind(k) == "resourcegroups",
                    () if list("/virtualnetworks") => kind(k) == "virtualnetworks",
                    () => k.contains("/providers/"),
                };
                let typed = |(k, body): (&String, &Value)| {
                    let mut body = body.clone();
                    let segments: Vec<&str> = k.split('/').collect();
                    if segments.len() > 7 {
                        body["type"] = format!("{}/{}", segments[6], segments[7]).into();
                    }
                    if hides_tags {
                        body["tags"] = Value::Null;
                    }
                    body
                };
                let values: Vec<Value> = self
                    .resources
                    .iter()
                    .filter(|(k, body)| of_kind(k) && (!tagged || !body["tags"].is_null()))
                    .map(typed)
                    .collect();
                (200, Vec::new(), json!({"value": values}))
            }
            "GET" if list("/instanceview") => {
                (200, Vec::new(), json!({"statuses": [{"code": "PowerState/running"}]}))
            }
            "GET" => match self.resources.get(&key) {
                Some(found) => (200, Vec::new(), found.clone()),
                None => error(404, "ResourceNotFound"),
            },
            "PUT" => self.put(path, body, end),
            "DELETE" => self.delete(path),
            "POST" => {
                let (machine, action) = key.rsplit_once('/').unwrap();
                let Some(found) = self.resources.get_mut(machine) else {
                    return error(404, "ResourceNotFound");
                };
                match action {
                    "deallocate" => {
                        found["deallocated"] = true.into();
                        self.accept(202, Value::Null, end)
                    }
                    "generalize" if found["deallocated"] == true => {
                        found["generalized"] = true.into();
                        (200, Vec::new(), Value::Null)
                    }
                    _ => error(409, "OperationNotAllowed"),
                }
            }
            _ => error(405, "MethodNotAllowed"),
        }
    }
}

/// The last type segment of an id.
fn kind(key: &str) -> String {
    key.rsplit('/').nth(1).unwrap_or_default().to_owned()
}

#[async_trait]
impl Transport for FakeCloud {
    async fn send(&self, request: http::Request<Bytes>) -> Result<http::Response<Bytes>, TransportError> {
        if self.dead.load(Ordering::SeqCst) {
            std::future::pending::<()>().await;
        }
        tokio::time::sleep(std::time::Duration::from_millis(1)).await;
        let (method, path) = (request.method().to_string(), request.uri().path().to_owned());
        let answer = |(status, headers, body): Answer| {
            let mut response = http::Response::builder().status(status);
            for (name, value) in headers {
                response = response.header(name, value);
            }
            let text = if body.is_null() { String::new() } else { body.to_string() };
            Ok(response.body(Bytes::from(text)).unwrap())
        };
        if path.contains("oauth2") {
            return answer((200, Vec::new(), json!({"access_token": "tok", "expires_in": 3600})));
        }
        let line = format!("{method} {path}");
        let mut state = self.state.lock().unwrap();
        state.log.push(line.clone());
        let hit = state.faults.iter().position(|(part, _)| {
            let (m, p) = part.split_once(' ').unwrap();
            method.to_lowercase() == m && path.to_lowercase().contains(p)
        });
        let fault = hit.map(|index| state.faults.remove(index).1);
        let cut = || Err(TransportError::Interrupted { host: "fake".into(), reason: "cut".into() });
        let mut end = json!({"status": "Succeeded"});
        match &fault {
            Some(Fault::Refuse(status, code)) => return answer(error(*status, code)),
            Some(Fault::CutBefore) => return cut(),
            Some(Fault::FailLater(code)) => {
                end = json!({"status": "Failed", "error": {"code": code, "message": "later"}});
            }
            Some(Fault::CutAfter) | None => {}
        }
        let body = serde_json::from_slice(request.body()).unwrap_or_default();
        let result = state.handle(&method, &path, request.uri().query().unwrap_or_default(), body, end);
        if matches!(fault, Some(Fault::CutAfter)) {
            return cut();
        }
        answer(result)
    }
}
