//! A store on PostgreSQL that is spoken to over TLS.

use crate::bench::directory::unique;
use crate::bench::fleet::Fleet;
use crate::bench::postgres_tls::TlsPostgres;
use crate::bench::process::Installation;
use crate::bench::simulated::Simulated;
use crate::bench::{ask, providers};

#[tokio::test]
async fn postgresql_over_tls_is_used_when_somebody_vouches_for_it_and_refused_when_nobody_does() {
    let (sim, postgres) = (Simulated::start().await, TlsPostgres::start().await);
    let installation = |parameters: &str| {
        let store = postgres.url(parameters);
        Installation::new(&Fleet::shared(&providers(sim.address), &store))
    };
    let known = postgres.authority().display().to_string();
    let verified = format!("sslmode=verify-full&sslrootcert={known}");
    for parameters in ["sslmode=require", &verified] {
        let trunkline = installation(parameters).start().await;
        let app = trunkline.app();
        let mark = unique("mark-");
        let headers = [("x-client-request-id", mark.as_str())];
        let answer = app.chat_with(&headers, &ask("openai/gpt", "hello")).await;
        assert_eq!(answer.status, 200, "{}", answer.text());
        assert_eq!(app.recorded(&mark).await["state"], "settled");
        trunkline.stop().await;
    }

    let unknown = postgres.another_authority().display().to_string();
    let refused = [
        ("sslmode=disable".to_owned(), "no encryption"),
        (
            format!("sslmode=verify-full&sslrootcert={unknown}"),
            "invalid peer certificate",
        ),
        (
            "sslmode=verify-full".to_owned(),
            "name that of its authority",
        ),
    ];
    for (parameters, why) in refused {
        let ended = installation(&parameters)
            .run(&["serve", "--listen", "127.0.0.1:0"])
            .await;
        assert!(!ended.status.success());
        let errors = String::from_utf8(ended.stderr).unwrap();
        assert!(errors.contains(why), "{parameters}: {errors}");
    }
}
