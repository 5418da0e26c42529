//! What a deployment on Lambda needs beside the functions, as a CloudFormation template: the public
//! edge, the URLs at which functions call each other, and the schedules of jobs.
//!
//! The functions themselves are `cargo lambda deploy`'s; the template knows them by their names.

use std::collections::BTreeSet;

use anyhow::Result;
use serde_json::{Map, Value, json};
use zerocart_activator::Job;

use super::routes::{self, Route};
use crate::{console, domains, layout::Project};

/// The secret that holds the functions' URLs; the functions' manifests name it.
const URLS: &str = "zerocart/function-urls";

/// `zerocart lambda template`.
pub(super) fn print() -> Result<()> {
    console::say(text(&Project::find()?)?);
    Ok(())
}

/// The template as JSON.
pub(super) fn text(project: &Project) -> Result<String> {
    let crons = zerocart_activator::load_jobs(&project.jobs())?;
    Ok(serde_json::to_string_pretty(&template(&crons))?)
}

/// The template. Names in it are the functions' names without their hyphens, which CloudFormation
/// does not allow.
fn template(crons: &[Job]) -> Value {
    let mut resources = Map::new();
    let routes = routes::of(domains::functions().map(|entry| entry.info));
    edge(&mut resources, &routes);
    for name in called() {
        url(&mut resources, name);
    }
    publish(&mut resources);
    for cron in crons {
        schedule(&mut resources, cron);
    }
    json!({
        "AWSTemplateFormatVersion": "2010-09-09",
        "Description": "zerocart: the public edge, the functions' own URLs, and the schedules of jobs",
        "Parameters": {
            "CallerRole": {
                "Type": "String",
                "Description": "ARN of the role that the functions run as, which may call them",
            },
        },
        "Resources": resources,
        "Outputs": {
            "Url": {
                "Description": "The public address",
                "Value": {"Fn::GetAtt": ["Edge", "ApiEndpoint"]},
            },
        },
    })
}

/// The names of the functions that others call.
fn called() -> BTreeSet<&'static str> {
    let functions = domains::functions().flat_map(|entry| entry.info.calls);
    let jobs = domains::jobs().flat_map(|entry| entry.info.calls);
    functions.chain(jobs).copied().collect()
}

/// An HTTP API with a route for each path, and the leave to call the functions.
fn edge(resources: &mut Map<String, Value>, routes: &[Route]) {
    let mut add = |name: String, kind: &str, properties: Value| {
        resources.insert(name, json!({"Type": kind, "Properties": properties}));
    };
    add(
        "Edge".into(),
        "AWS::ApiGatewayV2::Api",
        json!({
            "Name": "zerocart",
            "ProtocolType": "HTTP",
            // As kong/kong.yml has it.
            "CorsConfiguration": {
                "AllowOrigins": ["http://localhost:3000"],
                "AllowMethods": ["GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"],
                "AllowHeaders": ["authorization", "content-type", "idempotency-key", "x-correlation-id", "traceparent", "tracestate"],
                "ExposeHeaders": ["location", "retry-after"],
                "AllowCredentials": true,
                "MaxAge": 300,
            },
        }),
    );
    add(
        "EdgeStage".into(),
        "AWS::ApiGatewayV2::Stage",
        json!({
            "ApiId": {"Ref": "Edge"},
            "StageName": "$default",
            "AutoDeploy": true,
            // For all clients together: an HTTP API has no limits per client.
            "DefaultRouteSettings": {"ThrottlingRateLimit": 100, "ThrottlingBurstLimit": 200},
        }),
    );
    let functions: BTreeSet<_> = routes.iter().map(|route| route.function).collect();
    for function in functions {
        let name = logical(function);
        add(
            format!("{name}Integration"),
            "AWS::ApiGatewayV2::Integration",
            json!({
                "ApiId": {"Ref": "Edge"},
                "IntegrationType": "AWS_PROXY",
                "IntegrationUri": arn(function),
                "PayloadFormatVersion": "2.0",
            }),
        );
        add(
            format!("{name}EdgePermission"),
            "AWS::Lambda::Permission",
            json!({
                "Action": "lambda:InvokeFunction",
                "FunctionName": function,
                "Principal": "apigateway.amazonaws.com",
                "SourceArn": {"Fn::Sub": "arn:${AWS::Partition}:execute-api:${AWS::Region}:${AWS::AccountId}:${Edge}/*"},
            }),
        );
    }
    for route in routes {
        let name = logical(route.function);
        let kind = match route.method {
            routes::ANY => "Other",
            _ if route.path.contains('.') => "Grpc",
            _ => "Rest",
        };
        add(
            format!("{name}{kind}Route"),
            "AWS::ApiGatewayV2::Route",
            json!({
                "ApiId": {"Ref": "Edge"},
                "RouteKey": format!("{} {}", route.method, route.path),
                "Target": {"Fn::Join": ["/", ["integrations", {"Ref": format!("{name}Integration")}]]},
            }),
        );
    }
}

/// A function URL that takes requests signed by the functions' role, and no others.
fn url(resources: &mut Map<String, Value>, function: &str) {
    let name = logical(function);
    resources.insert(
        format!("{name}Url"),
        json!({
            "Type": "AWS::Lambda::Url",
            "Properties": {"AuthType": "AWS_IAM", "TargetFunctionArn": arn(function)},
        }),
    );
    for (kind, action) in [
        ("Url", "lambda:InvokeFunctionUrl"),
        ("Function", "lambda:InvokeFunction"),
    ] {
        let mut properties = json!({
            "Action": action,
            "FunctionName": function,
            "Principal": {"Ref": "CallerRole"},
        });
        if kind == "Url" {
            properties["FunctionUrlAuthType"] = "AWS_IAM".into();
        }
        resources.insert(
            format!("{name}{kind}Permission"),
            json!({"Type": "AWS::Lambda::Permission", "Properties": properties}),
        );
    }
}

/// The secret in which functions look for each other's URLs: these are known once they are made.
fn publish(resources: &mut Map<String, Value>) {
    let urls = called().into_iter().map(|function| {
        let url = format!("${{{}Url.FunctionUrl}}", logical(function));
        (function.to_owned(), Value::from(url))
    });
    let urls = Value::Object(urls.collect()).to_string();
    resources.insert(
        "FunctionUrls".to_owned(),
        json!({
            "Type": "AWS::SecretsManager::Secret",
            "Properties": {
                "Name": URLS,
                "Description": "FUNCTION_URLS of the functions that call others",
                "SecretString": {"Fn::Sub": urls},
            },
        }),
    );
}

/// A schedule that invokes a job.
fn schedule(resources: &mut Map<String, Value>, cron: &Job) {
    // The same minutes; EventBridge has a field for years, and `?` where cron has a second `*`.
    let schedule = cron.schedule.to_string();
    let minutes = schedule.split(' ').next().unwrap_or("*");
    let name = logical(&cron.name);
    resources.insert(
        format!("{name}Schedule"),
        json!({
            "Type": "AWS::Events::Rule",
            "Properties": {
                "ScheduleExpression": format!("cron({minutes} * * * ? *)"),
                "Targets": [{"Id": cron.name, "Arn": arn(&cron.name)}],
            },
        }),
    );
    resources.insert(
        format!("{name}SchedulePermission"),
        json!({
            "Type": "AWS::Lambda::Permission",
            "Properties": {
                "Action": "lambda:InvokeFunction",
                "FunctionName": cron.name,
                "Principal": "events.amazonaws.com",
                "SourceArn": {"Fn::GetAtt": [format!("{name}Schedule"), "Arn"]},
            },
        }),
    );
}

/// A name of CloudFormation's: `CreateUser`.
fn logical(name: &str) -> String {
    let words = name.split('-').map(|word| {
        let (first, rest) = word.split_at(word.len().min(1));
        first.to_uppercase() + rest
    });
    words.collect()
}

/// The function's ARN in the account and region of the stack.
fn arn(function: &str) -> Value {
    json!({"Fn::Sub": format!(
        "arn:${{AWS::Partition}}:lambda:${{AWS::Region}}:${{AWS::AccountId}}:function:{function}"
    )})
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn everything_that_is_needed_is_in_it() {
        let project = Project::at(concat!(env!("CARGO_MANIFEST_DIR"), "/.."));
        let crons = zerocart_activator::load_jobs(&project.jobs()).unwrap();
        let template = template(&crons);
        let resources = template["Resources"].as_object().unwrap();
        let of_kind = |kind: &str| {
            let of_kind = resources.values().filter(|r| r["Type"] == kind);
            of_kind.count()
        };
        let functions = domains::functions().count();
        let paths: BTreeSet<_> = domains::functions().map(|e| e.info.http_path).collect();
        let routes = 2 * functions + paths.len();
        assert_eq!(of_kind("AWS::ApiGatewayV2::Route"), routes);
        assert_eq!(of_kind("AWS::ApiGatewayV2::Integration"), functions);
        assert_eq!(of_kind("AWS::Lambda::Url"), called().len());
        assert_eq!(of_kind("AWS::Events::Rule"), domains::jobs().count());
        let url = &resources["GetProductUrl"]["Properties"];
        assert_eq!(url["AuthType"], "AWS_IAM");
        let route = &resources["GetOrderRestRoute"]["Properties"]["RouteKey"];
        assert_eq!(route, "GET /orders/{id}");
        // HEAD, and what is refused with the methods of the path.
        let route = &resources["GetOrderOtherRoute"]["Properties"]["RouteKey"];
        assert_eq!(route, "ANY /orders/{id}");
        assert!(!resources.contains_key("RecoverOrdersRestRoute"));
        let urls = &resources["FunctionUrls"]["Properties"]["SecretString"]["Fn::Sub"];
        let urls: Value = serde_json::from_str(urls.as_str().unwrap()).unwrap();
        assert_eq!(urls["get-product"], "${GetProductUrl.FunctionUrl}");
    }
}
