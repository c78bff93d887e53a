//! A cloud for one test, and a short way to speak to it: `PUT R/N/virtualNetworks/vn` with `S` for the subscription, `R`
//! for its group `images` in `westeurope`, `N`, `C` and `M` for the namespaces of network, compute and marketplace.
//! The api-version that fits the path is added unless there is one.

use std::io;
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use fornax_simulator::machine::{Captured, Machine, MachineBackend, MachineError, MachineSpec, Stream};
use fornax_simulator::{Config, Credentials, FaultScript, Latency, Seed, Simulator};
use http::{HeaderMap, Request};
use serde_json::{Value, json};

/// Longer than any operation, for tests whose clock is paused. It jumps in steps, so that what has several waits goes on
/// after each.
pub async fn long() {
    for _ in 0..60 {
        tokio::time::advance(std::time::Duration::from_secs(1)).await;
    }
}

/// Machines that do nothing, and do it at once.
struct Shells;
struct Shell;

#[async_trait]
impl MachineBackend for Shells {
    fn name(&self) -> &'static str {
        "shell"
    }
    async fn create(&self, _: MachineSpec) -> Result<Arc<dyn Machine>, MachineError> {
        Ok(Arc::new(Shell))
    }
    async fn delete_image(&self, _: &str) -> Result<(), MachineError> {
        Ok(())
    }
}

#[async_trait]
impl Machine for Shell {
    async fn connect(&self) -> Result<Box<dyn Stream>, MachineError> {
        Err(MachineError::Io { what: "no SSH here".into(), source: io::ErrorKind::ConnectionRefused.into() })
    }
    fn status(&self) -> String {
        "an empty shell".into()
    }
    async fn start(&self) -> Result<(), MachineError> {
        Ok(())
    }
    async fn power_off(&self) -> Result<(), MachineError> {
        Ok(())
    }
    async fn restart(&self) -> Result<(), MachineError> {
        Ok(())
    }
    async fn capture(&self, image_id: &str) -> Result<Captured, MachineError> {
        Ok(Captured { handle: image_id.to_owned(), provenance: Value::Null })
    }
    async fn delete(&self) -> Result<(), MachineError> {
        Ok(())
    }
}

/// What came back.
#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    pub headers: HeaderMap,
    pub body: Value,
}

impl Answer {
    pub fn code(&self) -> &str {
        self.body["error"]["code"].as_str().unwrap_or_default()
    }

    /// Status and error code, as tables write them.
    pub fn short(&self) -> String {
        format!("{} {}", self.status, self.code()).trim().to_owned()
    }

    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).and_then(|v| v.to_str().ok()).unwrap_or_default()
    }

    /// `name` of each entry of a list.
    pub fn names(&self) -> Vec<&str> {
        let list = self.body["value"].as_array().or(self.body.as_array());
        list.into_iter().flatten().filter_map(|entry| entry["name"].as_str()).collect()
    }
}

/// One simulated cloud, and a token for it.
pub struct Cloud {
    pub simulator: Arc<Simulator>,
    pub token: String,
    sub: String,
}

/// One line of a table: the request, its body (null for none), and what is expected.
pub type Step = (&'static str, Value, &'static str);

impl Cloud {
    pub async fn new() -> Cloud {
        Cloud::with(json!({}), json!([]), Latency::Instant).await
    }

    pub async fn with(seed: Value, faults: Value, latency: Latency) -> Cloud {
        let config = Config {
            latency,
            faults: FaultScript::parse(&faults.to_string()).unwrap(),
            seed: Seed::parse(&seed.to_string()).unwrap(),
            backend: Arc::new(Shells),
            credentials: Credentials::generate(),
            accept_any_credentials: false,
            endpoint: "https://arm.test".into(),
            ssh_port: 22,
        };
        let simulator = Simulator::new(config).unwrap();
        let sub = simulator.credentials().subscription_id.clone();
        let mut cloud = Cloud { simulator, token: String::new(), sub };
        cloud.token = cloud.log_in().await;
        cloud
    }

    pub async fn log_in(&self) -> String {
        let known = self.simulator.credentials();
        let form = format!(
            "grant_type=client_credentials&client_id={}&client_secret={}&scope=https%3A%2F%2Farm.test%2F.default",
            known.client_id, known.client_secret
        );
        let path = format!("POST /{}/oauth2/v2.0/token", known.tenant_id);
        let answer = self.raw(&path, Bytes::from(form), &[]).await;
        answer.body["access_token"].as_str().unwrap().to_owned()
    }

    /// The id of a resource in the usual group.
    pub fn id(&self, path: &str) -> String {
        self.spell(&format!("R/{path}"))
    }

    fn spell(&self, path: &str) -> String {
        let (path, query) = path.split_once('?').map_or((path, None), |(path, query)| (path, Some(query)));
        let words = path.split('/').map(|word| match word {
            "S" => format!("/subscriptions/{}", self.sub),
            "R" => format!("/subscriptions/{}/resourceGroups/images", self.sub),
            "N" => "providers/Microsoft.Network".into(),
            "C" => "providers/Microsoft.Compute".into(),
            "M" => "providers/Microsoft.MarketplaceOrdering".into(),
            word => word.into(),
        });
        let path = words.collect::<Vec<_>>().join("/");
        query.map_or(path.clone(), |query| format!("{path}?{query}"))
    }

    /// `VERB PATH`, with the token.
    pub async fn send(&self, request: &str, body: &Value) -> Answer {
        self.send_with(request, body, &[]).await
    }

    pub async fn send_with(&self, request: &str, body: &Value, headers: &[(&str, &str)]) -> Answer {
        let (verb, path) = request.split_once(' ').unwrap();
        let mut path = self.spell(path);
        if !path.to_lowercase().contains("api-version=") {
            let sign = if path.contains('?') { '&' } else { '?' };
            let version = version(&path);
            path = format!("{path}{sign}api-version={version}");
        }
        let bytes = if body.is_null() { Bytes::new() } else { Bytes::from(body.to_string()) };
        let bearer = format!("Bearer {}", self.token);
        let mut all = vec![("authorization", bearer.as_str())];
        all.extend(headers);
        self.raw(&format!("{verb} {path}"), bytes, &all).await
    }

    /// As it stands: no token, no version.
    pub async fn raw(&self, request: &str, body: Bytes, headers: &[(&str, &str)]) -> Answer {
        let (verb, path) = request.split_once(' ').unwrap();
        let path = path.strip_prefix("https://arm.test").unwrap_or(path);
        let uri = format!("https://arm.test{}", path.replace(' ', "%20").replace('\'', "%27"));
        let mut builder = Request::builder().method(verb).uri(uri);
        for (name, value) in headers {
            builder = builder.header(*name, *value);
        }
        let answer = self.simulator.handle(builder.body(body).unwrap()).await.unwrap();
        let (parts, body) = answer.into_parts();
        let body = serde_json::from_slice(&body).unwrap_or_default();
        Answer { status: parts.status.as_u16(), headers: parts.headers, body }
    }

    /// Follows a URL that an answer gave.
    pub async fn follow(&self, url: &str) -> Answer {
        let bearer = format!("Bearer {}", self.token);
        self.raw(&format!("GET {url}"), Bytes::new(), &[("authorization", &bearer)]).await
    }

    /// Goes through a table; operations are over before the next line.
    #[track_caller]
    pub fn table<'a>(&'a self, steps: &'a [Step]) -> impl Future<Output = ()> + 'a {
        let place = std::panic::Location::caller();
        async move {
            for (number, (request, body, wanted)) in steps.iter().enumerate() {
                let answer = self.send(request, body).await;
                assert_eq!(
                    answer.short(),
                    *wanted,
                    "{place}, line {number}: {request} {body}\n{:#}",
                    answer.body
                );
            }
        }
    }

    /// Goes through a table in which everything works.
    #[track_caller]
    pub fn given<'a>(&'a self, steps: &'a [(&'static str, Value)]) -> impl Future<Output = ()> + 'a {
        let place = std::panic::Location::caller();
        async move {
            for (request, body) in steps {
                let answer = self.send(request, body).await;
                assert!(
                    answer.status < 300,
                    "{place}: {request} {body}\n{} {:#}",
                    answer.status,
                    answer.body
                );
            }
        }
    }

    /// A machine `vm` with all that it needs: network `vn`, subnet `s`, address `p`, group `g`, interface `n`.
    pub async fn with_machine(&self) {
        self.given(&[
            ("PUT R/N/virtualNetworks/vn", vnet(&["s"])),
            ("PUT R/N/publicIPAddresses/p", address()),
            ("PUT R/N/networkSecurityGroups/g", located(json!({}))),
        ])
        .await;
        let nic = self.nic("s", Some("p"), Some("g"));
        assert_eq!(self.send("PUT R/N/networkInterfaces/n", &nic).await.status, 201);
        let answer = self.send("PUT R/C/virtualMachines/vm", &self.vm(json!({}))).await;
        assert_eq!(answer.status, 201, "{:#}", answer.body);
    }

    /// An interface in network `vn`.
    pub fn nic(&self, subnet: &str, address: Option<&str>, group: Option<&str>) -> Value {
        let subnet = self.id(&format!("N/virtualNetworks/vn/subnets/{subnet}"));
        let mut inner = json!({ "privateIPAllocationMethod": "Dynamic", "subnet": { "id": subnet } });
        if let Some(name) = address {
            inner["publicIPAddress"] = json!({ "id": self.id(&format!("N/publicIPAddresses/{name}")) });
        }
        let mut body = located(json!({ "ipConfigurations": [{ "name": "ipconfig", "properties": inner }] }));
        if let Some(name) = group {
            body["properties"]["networkSecurityGroup"] =
                json!({ "id": self.id(&format!("N/networkSecurityGroups/{name}")) });
        }
        body
    }

    /// A Debian machine on interface `n`, with members of `properties` replaced at JSON pointers.
    pub fn vm(&self, changes: Value) -> Value {
        let mut body = located(json!({
            "hardwareProfile": { "vmSize": "Standard_B1s" },
            "storageProfile": {
                "imageReference": { "publisher": "Debian", "offer": "debian-12", "sku": "12-gen2", "version": "latest" },
                "osDisk": { "name": "os", "createOption": "FromImage", "deleteOption": "Delete",
                            "managedDisk": { "storageAccountType": "Premium_LRS" } } },
            "osProfile": { "computerName": "vm", "adminUsername": "packer", "adminPassword": "Secret-1-of-many",
                           "linuxConfiguration": { "disablePasswordAuthentication": false } },
            "networkProfile": { "networkInterfaces": [{ "id": self.id("N/networkInterfaces/n") }] } }));
        for (pointer, value) in changes.as_object().unwrap() {
            *at(&mut body, pointer) = value.clone();
        }
        body
    }
}

/// The member at a pointer, made where it is missing.
fn at<'a>(body: &'a mut Value, pointer: &str) -> &'a mut Value {
    pointer.split('/').filter(|word| !word.is_empty()).fold(body, |value, word| match word.parse::<usize>() {
        Ok(index) if value.is_array() => &mut value[index],
        _ => &mut value[word],
    })
}

fn version(path: &str) -> &'static str {
    let path = path.split('?').next().unwrap().to_lowercase();
    let words: Vec<&str> = path.split('/').collect();
    let at = words.iter().position(|word| *word == "providers").unwrap_or(words.len());
    match (words.get(at + 1), words.get(at + 2)) {
        (_, None | Some(&"register")) => "2021-04-01",
        (Some(&"microsoft.network"), _) => "2023-09-01",
        (Some(&"microsoft.compute"), Some(&("disks" | "snapshots"))) => "2024-03-02",
        (Some(&"microsoft.compute"), Some(&"skus")) => "2021-07-01",
        (Some(&"microsoft.marketplaceordering"), _) => "2021-01-01",
        _ => "2024-07-01",
    }
}

/// A body in `westeurope`.
pub fn located(properties: Value) -> Value {
    json!({ "location": "westeurope", "properties": properties })
}

/// A network with subnets `10.0.0.0/24`, `10.0.1.0/24`, …
pub fn vnet(subnets: &[&str]) -> Value {
    let list: Vec<Value> = subnets
        .iter()
        .enumerate()
        .map(|(index, name)| json!({ "name": name, "properties": { "addressPrefix": format!("10.0.{index}.0/24") } }))
        .collect();
    located(json!({ "addressSpace": { "addressPrefixes": ["10.0.0.0/16"] }, "subnets": list }))
}

pub fn address() -> Value {
    json!({ "location": "westeurope", "sku": { "name": "Standard" },
            "properties": { "publicIPAllocationMethod": "Static" } })
}

/// No body.
pub const NONE: Value = Value::Null;
