//! scratch
#![allow(clippy::all, clippy::pedantic, missing_docs, unused_crate_dependencies)]
use harness::fixtures::{NOTHING_FAILED, WebhookKey, batches};
use harness::{FakeAws, Function, Program, Receiver, status};
use std::path::PathBuf;

async fn cpu(path: &str, warm: usize, n: usize) -> f64 {
    let receiver = Receiver::counting(status(200), None).await;
    let aws = FakeAws::start().await;
    let targets = WebhookKey::several(1);
    aws.put_webhook(targets[0].row(&receiver.url()));
    let mut f = Function::start(&Program::new(path, aws.environment()), None).await.unwrap();
    let mut events = batches(&targets, 10, warm + n).unwrap();
    let measured = events.split_off(warm);
    f.run(events, NOTHING_FAILED).await.unwrap();
    let cost = f.run(measured, NOTHING_FAILED).await.unwrap();
    cost.cpu_micros(n * 10)
}

async fn ir(path: &str, n: usize, out: &str) -> u64 {
    let receiver = Receiver::counting(status(200), None).await;
    let aws = FakeAws::start().await;
    let targets = WebhookKey::several(1);
    aws.put_webhook(targets[0].row(&receiver.url()));
    let mut p = Program::new("/usr/bin/valgrind", aws.environment());
    p.arguments = ["--tool=callgrind", &format!("--callgrind-out-file={out}"), path]
        .into_iter()
        .map(PathBuf::from)
        .collect();
    let mut f = Function::start(&p, None).await.unwrap();
    f.run(batches(&targets, 10, n).unwrap(), NOTHING_FAILED).await.unwrap();
    std::process::Command::new("kill")
        .args(["-TERM", &f.process.pid().to_string()])
        .status()
        .unwrap();
    f.process.ended().await.ok();
    let text = std::fs::read_to_string(out).unwrap();
    let line =
        text.lines().find(|l| l.starts_with("summary:") || l.starts_with("totals:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}

#[tokio::main(flavor = "current_thread")]
async fn main() {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let rounds: usize = args[1].parse().unwrap();
    if args[0] == "ir" {
        for path in &args[2..] {
            let mut per = Vec::new();
            for r in 0..rounds {
                let (a, b) = (ir(path, 20, "/tmp/cg.a").await, ir(path, 120, "/tmp/cg.b").await);
                per.push((b - a) as f64 / 1000.0);
                eprintln!("{path} round {r}: {:.0} Ir per delivery", (b - a) as f64 / 1000.0);
            }
            per.sort_by(f64::total_cmp);
            println!("{path}: {per:?}");
        }
        return;
    }
    let mut all: Vec<Vec<f64>> = vec![Vec::new(); args.len() - 2];
    for _ in 0..rounds {
        for (path, all) in args[2..].iter().zip(&mut all) {
            all.push(cpu(path, 100, 600).await);
        }
    }
    let mut ratios: Vec<f64> = all[0].iter().zip(&all[1]).map(|(a, b)| b / a).collect();
    for (path, v) in args[2..].iter().zip(&mut all) {
        v.sort_by(f64::total_cmp);
        println!(
            "{path}: min {:.1} q1 {:.1} median {:.1} q3 {:.1}",
            v[0],
            v[v.len() / 4],
            v[v.len() / 2],
            v[v.len() * 3 / 4]
        );
    }
    ratios.sort_by(f64::total_cmp);
    println!(
        "ratio of pairs: q1 {:.3} median {:.3} q3 {:.3}",
        ratios[ratios.len() / 4],
        ratios[ratios.len() / 2],
        ratios[ratios.len() * 3 / 4]
    );
}
