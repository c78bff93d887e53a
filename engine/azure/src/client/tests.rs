use super::*;

fn spec() -> MachineSpec {
    MachineSpec {
        location: "westeurope".into(),
        tags: Tags::from([("a".into(), "b".into())]),
        size: "Standard_New_v9".into(),
        image: ImageReference::Marketplace {
            publisher: "p".into(),
            offer: "o".into(),
            sku: "s".into(),
            version: "latest".into(),
        },
        plan: None,
        computer_name: "vm".into(),
        admin_username: "packer".into(),
        admin_password: None,
        public_key: Some("ssh-ed25519 AAAA".into()),
        nic_id: "/nic".into(),
        os_disk_name: "os".into(),
        os_disk_size_gb: None,
        keep_os_disk: false,
        data_disks: vec![DataDisk { name: "d1".into(), lun: 3, size_gb: 8 }],
        caching: "ReadOnly".into(),
        storage_account_type: "Premium_LRS".into(),
        disk_controller_type: None,
        custom_data: None,
        user_data: None,
        identities: Vec::new(),
        boot_diagnostics_uri: None,
        license_type: None,
        encryption_at_host: false,
    }
}

fn compute() -> Compute {
    Compute::new(Url::parse("https://arm.example").unwrap(), "sub")
}

#[tokio::test]
async fn a_machine_is_described_as_the_service_wants_it() {
    let call = compute().create_machine("g", "vm", &spec()).await.unwrap();
    assert_eq!(
        call.url.as_str(),
        "https://arm.example/subscriptions/sub/resourceGroups/g/providers/Microsoft.Compute/virtualMachines/vm?api-version=2024-07-01"
    );
    assert_eq!(call.method, Method::PUT);
    let body: Value = serde_json::from_slice(call.body.as_deref().unwrap()).unwrap();
    let expected = json!({
        "location": "westeurope", "tags": {"a": "b"},
        "properties": {
            "hardwareProfile": {"vmSize": "Standard_New_v9"},
            "storageProfile": {
                "imageReference": {"publisher": "p", "offer": "o", "sku": "s", "version": "latest"},
                "osDisk": {"osType": "Linux", "name": "os", "caching": "ReadOnly", "createOption": "FromImage",
                    "managedDisk": {"storageAccountType": "Premium_LRS"}, "deleteOption": "Delete"},
                "dataDisks": [{"lun": 3, "name": "d1", "caching": "ReadOnly", "createOption": "Empty", "diskSizeGB": 8,
                    "managedDisk": {"storageAccountType": "Premium_LRS"}, "deleteOption": "Delete"}]
            },
            "osProfile": {"computerName": "vm", "adminUsername": "packer", "linuxConfiguration": {
                "disablePasswordAuthentication": true,
                "ssh": {"publicKeys": [{"path": "/home/packer/.ssh/authorized_keys", "keyData": "ssh-ed25519 AAAA"}]}}},
            "networkProfile": {"networkInterfaces": [{"id": "/nic", "properties": {"primary": true, "deleteOption": "Delete"}}]},
            "diagnosticsProfile": {"bootDiagnostics": {"enabled": false}}
        }
    });
    assert_eq!(body, expected);
}

#[tokio::test]
async fn what_the_models_lack_is_added_and_secrets_stay_out_of_debug() {
    let mut spec = spec();
    spec.admin_password = Some(Secret::new("hunter22-canary"));
    spec.custom_data = Some(Secret::new("Y2FuYXJ5"));
    spec.user_data = Some(Secret::new("dXNlcg=="));
    spec.identities = vec!["/id1".into()];
    spec.plan =
        Some(Plan { name: "n".into(), product: "o".into(), publisher: "p".into(), promotion_code: None });
    spec.image = ImageReference::Managed("/image".into());
    let call = compute().create_machine("g", "vm", &spec).await.unwrap();
    let body: Value = serde_json::from_slice(call.body.as_deref().unwrap()).unwrap();
    assert_eq!(body["properties"]["osProfile"]["adminPassword"], "hunter22-canary");
    assert_eq!(body["properties"]["osProfile"]["customData"], "Y2FuYXJ5");
    assert_eq!(body["properties"]["userData"], "dXNlcg==");
    assert_eq!(body["properties"]["osProfile"]["linuxConfiguration"]["disablePasswordAuthentication"], false);
    assert_eq!(body["identity"], json!({"type": "UserAssigned", "userAssignedIdentities": {"/id1": {}}}));
    assert_eq!(body["plan"], json!({"name": "n", "product": "o", "publisher": "p"}));
    assert_eq!(body["properties"]["storageProfile"]["imageReference"], json!({"id": "/image"}));
    assert!(body["properties"].get("timeCreated").is_none());
    assert!(!format!("{call:?} {spec:?}").contains("canary"));
}

#[tokio::test]
async fn actions_have_no_body_and_the_image_names_its_machine() {
    let call = compute().deallocate("g", "vm").await.unwrap();
    assert_eq!((call.method.as_str(), call.body.is_none()), ("POST", true));
    assert!(call.url.path().ends_with("/virtualMachines/vm/deallocate"));
    let call = compute()
        .create_image(
            "g",
            "i",
            &ImageSpec {
                location: "westeurope".into(),
                tags: Tags::new(),
                machine_id: "/vm".into(),
                generation: Some("V2".into()),
                zone_resilient: true,
            },
        )
        .await
        .unwrap();
    let body: Value = serde_json::from_slice(call.body.as_deref().unwrap()).unwrap();
    assert_eq!(
        body,
        json!({"location": "westeurope", "tags": {}, "properties": {"sourceVirtualMachine": {"id": "/vm"},
            "hyperVGeneration": "V2", "storageProfile": {"zoneResilient": true}}})
    );
    let call = compute().create_snapshot("g", "s", "westeurope", &Tags::new(), "/disk").await.unwrap();
    let body: Value = serde_json::from_slice(call.body.as_deref().unwrap()).unwrap();
    assert_eq!(
        body,
        json!({"location": "westeurope", "tags": {}, "properties": {"creationData": {"createOption": "Copy", "sourceResourceId": "/disk"}}})
    );
}
