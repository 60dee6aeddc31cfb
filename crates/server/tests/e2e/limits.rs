//! Limits that the store and the configuration keep: whom they may name.

use serde_json::{Value, json};

use crate::bench::process::Installation;

/// Somebody of each kind whom there is not.
const NOBODY: [(&str, &str); 5] = [
    ("organization", "org_0000000000000000000000000000000f"),
    ("project", "proj_0000000000000000000000000000000f"),
    ("user", "user_0000000000000000000000000000000f"),
    ("application", "app_0000000000000000000000000000000f"),
    ("key", "key_0000000000000000000000000000000f"),
];

#[tokio::test]
async fn a_limit_of_somebody_whom_there_is_not_is_refused_by_its_field() {
    let installation = Installation::new("");
    let trunkline = installation.start().await;
    let admin = trunkline.admin();
    let limit = |part: &str, id: &Value| {
        let mut limit = json!({ "name": "theirs", "requests": 6, "per": "minute" });
        limit[part] = id.clone();
        limit
    };
    for (part, id) in NOBODY.into_iter().chain([("provider", "nobody")]) {
        let body = limit(part, &json!(id));
        let refused = admin.post("/api/v1/admin/limits", &body).await;
        assert_eq!(refused.status, 400, "{body}");
        assert_eq!(refused.json()["problem"]["param"], part, "{body}");
        assert!(refused.text().contains(id), "{}", refused.text());

        let scope = format!("{part}={id}");
        let new = ["limits", "create", "theirs", "--scope", &scope];
        let output = installation
            .run(&[&new[..], &["--requests", "6", "--per", "minute"]].concat())
            .await;
        let errors = String::from_utf8_lossy(&output.stderr);
        assert!(!output.status.success(), "{scope}");
        assert!(errors.contains(&format!("--scope {part}")), "{errors}");
        assert!(errors.contains(id), "{errors}");
    }

    let user = json!({ "name": "Ada", "email": "ada@example.com" });
    let user = admin.post("/api/v1/admin/users", &user).await.json();
    let key = json!({ "name": "ci", "user_id": user["data"]["id"] });
    let key = admin.post("/api/v1/admin/keys", &key).await.json();
    let own = "org_00000000000000000000000000000001";
    for (part, id) in [
        ("organization", &json!(own)),
        ("user", &user["data"]["id"]),
        ("key", &key["data"]["id"]),
    ] {
        let body = limit(part, id);
        let made = admin.post("/api/v1/admin/limits", &body).await;
        assert_eq!(made.status, 201, "{body}: {}", made.text());
        let scope = format!("{part}={}", id.as_str().unwrap());
        let new = ["limits", "create", "same", "--scope", &scope];
        let new = [&new[..], &["--requests", "6", "--per", "minute"]].concat();
        installation.print(&new).await;
    }
}

#[tokio::test]
async fn a_limit_of_the_configuration_that_limits_nothing_is_said_at_start() {
    let rows = NOBODY.map(|(part, id)| {
        format!("  - {{ name: of-{part}, {part}: {id}, requests: 6, per: minute }}\n")
    });
    let own = "  - { name: own, project: proj_00000000000000000000000000000001, concurrency: 6 }\n";
    let installation = Installation::new(&format!("limits:\n{own}{}", rows.concat()));
    let log = installation.start().await.log();
    for (part, id) in NOBODY {
        let said = format!("there is no {part} {id}");
        assert!(log.contains(&said), "{said} in {log}");
    }
    assert_eq!(log.matches("limits nothing").count(), 5, "{log}");
}
