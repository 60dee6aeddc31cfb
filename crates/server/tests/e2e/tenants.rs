//! Organisations, projects, applications and users: who may administer them, and who is admitted.

use serde_json::{Value, json};

use crate::bench::client::Client;
use crate::bench::process::{Installation, Trunkline};
use crate::bench::simulated::Simulated;
use crate::bench::wait::eventually;
use crate::bench::{ask, providers};

async fn started() -> (Simulated, Installation, Trunkline) {
    let sim = Simulated::start().await;
    let installation = Installation::new(&providers(sim.address));
    let trunkline = installation.start().await;
    (sim, installation, trunkline)
}

async fn make(admin: &Client, path: &str, body: Value) -> Value {
    let made = admin.post(&format!("/api/v1/admin/{path}"), &body).await;
    assert_eq!(made.status, 201, "{}", made.json());
    made.json()["data"].clone()
}

async fn chats(trunkline: &Trunkline, key: &Value) -> u16 {
    let caller = trunkline.app().with_key(key["key"].as_str().unwrap());
    let answer = caller
        .post("/v1/chat/completions", &ask("openai/gpt", "Hello"))
        .await;
    answer.status
}

#[tokio::test]
async fn a_key_of_an_archived_project_is_admitted_nowhere_until_the_project_is_back() {
    let (_sim, _installation, trunkline) = started().await;
    let admin = trunkline.admin();
    let project = make(&admin, "projects", json!({ "name": "search" })).await;
    let application = json!({ "name": "bot", "project_id": project["id"] });
    let application = make(&admin, "applications", application).await;
    let user = make(
        &admin,
        "users",
        json!({ "name": "Ada", "email": "ada@example.com" }),
    )
    .await;
    let wanted = json!({
        "name": "theirs", "application_id": application["id"], "user_id": user["id"],
    });
    let key = make(&admin, "keys", wanted).await;
    assert_eq!(key["project_id"], project["id"]);
    assert_eq!(chats(&trunkline, &key).await, 200);

    let path = format!("/api/v1/admin/projects/{}", project["id"].as_str().unwrap());
    let archived = admin.delete(&path).await.json();
    assert!(archived["data"]["archived_at"].is_string(), "{archived}");
    assert_eq!(chats(&trunkline, &key).await, 403);
    let back = admin
        .patch(&path, &json!({ "archived": false }))
        .await
        .json();
    assert_eq!(back["data"]["archived_at"], Value::Null);
    assert_eq!(chats(&trunkline, &key).await, 200);

    let query = format!("&user_id={}", user["id"].as_str().unwrap());
    let logged = eventually("both calls are recorded", async || {
        let calls = admin.logs(&query).await;
        (calls.len() == 2).then_some(calls)
    })
    .await;
    for call in &logged {
        assert_eq!(call["project_id"], project["id"]);
        assert_eq!(call["application_id"], application["id"]);
        assert_eq!(call["user_id"], user["id"]);
    }
}

#[tokio::test]
async fn an_organizations_administrator_learns_nothing_of_others() {
    let (_sim, _installation, trunkline) = started().await;
    let admin = trunkline.admin();
    let organization = make(&admin, "organizations", json!({ "name": "acme" })).await;
    let theirs = json!({ "name": "main", "organization_id": organization["id"] });
    let project = make(&admin, "projects", theirs).await;
    let wanted = json!({ "name": "boss", "admin": true, "project_id": project["id"] });
    let boss = make(&admin, "keys", wanted).await;
    let boss = trunkline.app().with_key(boss["key"].as_str().unwrap());

    let projects = boss.get("/api/v1/admin/projects").await.json();
    let items = projects["data"]["items"].as_array().unwrap().clone();
    assert_eq!(items.len(), 1);
    assert_eq!(items[0]["id"], project["id"]);
    let first = "/api/v1/admin/projects/proj_00000000000000000000000000000001";
    assert_eq!(boss.get(first).await.status, 404);
    assert_eq!(
        boss.patch(first, &json!({ "name": "mine" })).await.status,
        404
    );
    let refused = boss
        .post("/api/v1/admin/organizations", &json!({ "name": "more" }))
        .await;
    assert_eq!(refused.status, 403);
    let keys = boss.get("/api/v1/admin/keys").await.json();
    assert_eq!(keys["data"]["items"].as_array().unwrap().len(), 1, "{keys}");
    let stranger = json!({ "name": "k", "project_id": "proj_00000000000000000000000000000001" });
    assert_eq!(boss.post("/api/v1/admin/keys", &stranger).await.status, 404);
}

#[tokio::test]
async fn what_is_no_tenant_is_refused_by_its_field() {
    let (_sim, _installation, trunkline) = started().await;
    let admin = trunkline.admin();
    for (path, body, param) in [
        ("projects", json!({ "name": "" }), "name"),
        ("projects", json!({ "name": "a", "email": "a@b" }), "email"),
        ("users", json!({ "name": "a", "email": "nobody" }), "email"),
        (
            "projects",
            json!({ "name": "a", "settings": { "regions": ["EU"] } }),
            "settings.regions",
        ),
        (
            "applications",
            json!({ "name": "a", "project_id": "x" }),
            "project_id",
        ),
    ] {
        let refused = admin.post(&format!("/api/v1/admin/{path}"), &body).await;
        assert_eq!(refused.status, 400, "{body}");
        assert_eq!(refused.json()["problem"]["param"], param, "{body}");
    }
    let first = "/api/v1/admin/organizations/org_00000000000000000000000000000001";
    assert_eq!(admin.delete(first).await.status, 400);
}

#[tokio::test]
async fn the_command_line_does_what_the_api_does() {
    let installation = Installation::new("");
    let json_of = async |arguments: &[&str]| -> Value {
        serde_json::from_str(&installation.print(arguments).await).unwrap()
    };
    let project = json_of(&[
        "projects",
        "create",
        "search",
        "--flag",
        "beta=true",
        "--json",
    ])
    .await;
    assert_eq!(project["settings"]["flags"]["beta"], true);
    let id = project["id"].as_str().unwrap();
    let application = ["applications", "create", "bot", "--project", id, "--json"];
    let application = json_of(&application).await;
    let wanted = application["id"].as_str().unwrap();
    let key = json_of(&[
        "keys",
        "create",
        "theirs",
        "--application",
        wanted,
        "--json",
    ])
    .await;
    assert_eq!(key["project_id"], project["id"]);
    let archived = json_of(&["projects", "archive", id, "--json"]).await;
    assert!(archived["archived_at"].is_string());
    let listed = json_of(&["projects", "list", "--archived", "true", "--json"]).await;
    assert_eq!(listed.as_array().unwrap().len(), 1);
    let back = json_of(&[
        "projects",
        "change",
        id,
        "--restore",
        "--name",
        "found",
        "--json",
    ])
    .await;
    assert_eq!(
        (back["name"].as_str(), back["archived_at"].is_null()),
        (Some("found"), true)
    );
}
