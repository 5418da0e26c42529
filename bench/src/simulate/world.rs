//! The simulated system: events, tasks and what they wait for.

use std::{
    collections::{HashMap, VecDeque},
    rc::Rc,
};

use anyhow::{Context, Result, bail};
use rand::{RngExt, SeedableRng, rngs::StdRng};
use tokio::time::Instant;
use zerocart_order::saga::{Event as Happened, Status};

use super::{
    cores::{Cores, Home, Timer},
    events::{Events, Rate, Us},
    function::{Entry, Function, pool},
    plan::{Do, HASHES, Place, Plan, Planner},
    prices::{CALLS, Visit},
    resources::{Log, Places, Servers, TaskId},
    shoppers::{Next, Shoppers},
    state::{Order, Phase, Setup, Spread, Task, Told},
};

mod cores;

/// A simulation that goes on for longer than this many events was asked for too much.
const MAX_EVENTS: u64 = 4_000_000_000;

/// Hashes of passwords that one instance works on at once, at most.
const HASH_THREADS: usize = 8;

/// Work takes from half to one and a half of its mean.
const EVEN: f64 = 0.5;

/// The pause before a function calls another again that was too busy.
const RETRY_US: Us = 100_000;

/// What happens at a time.
#[derive(Clone, Copy, Debug)]
enum Event {
    /// A thread on a set of cores has done its work or its slice.
    Slice(usize, Timer),
    /// The kernel looks whether threads wait while cores are idle.
    Balance(usize),
    Resume(TaskId),
    Flushed(usize),
    Tick(usize),
    /// A shopper comes.
    Arrive,
    /// A shopper asks again.
    Ask(u32),
}

/// A simulation that runs, and what it has seen.
pub(super) struct World<'a> {
    setup: &'a Setup<'a>,
    plans: Vec<Plan>,
    rng: StdRng,
    events: Events<Event>,
    tasks: Vec<Option<Task>>,
    free: Vec<TaskId>,
    pub(super) functions: Vec<Function>,
    pub(super) edge: Servers,
    /// The time of the last answer.
    pub(super) last_answer: Us,
    pub(super) cores: Vec<Cores>,
    /// Where threads sleep that have nothing to do; who slept last wakes up first.
    homes: HashMap<Place, Vec<Home>>,
    /// How often work came to a place of late.
    rates: HashMap<Place, Rate>,
    pub(super) logs: Vec<Log>,
    locks: HashMap<usize, Places>,
    pub(super) stock: Vec<i64>,
    orders: Vec<Order>,
    pub(super) told: Vec<Told>,
    shoppers: Shoppers,
    pub(super) peak_connections: usize,
    pub(super) lock_waited_us: u64,
    pub(super) locked: u64,
}

impl<'a> World<'a> {
    pub(super) fn new(setup: &'a Setup<'a>) -> Result<Self> {
        let base = Instant::now();
        // Shoppers ask no function that has no database.
        let manifests = setup
            .manifests
            .iter()
            .filter(|manifest| pool(manifest).is_some());
        let functions = manifests.map(|manifest| Function::new(manifest, setup.factor, base));
        let mut functions: Vec<Function> = functions.collect::<Result<_>>()?;
        let machines = &setup.machines;
        for function in &mut functions {
            if HASHES.contains(&function.name.as_str()) {
                function.threads_each = machines.cores[machines.functions].1.min(HASH_THREADS);
            }
        }
        let index = |name: &str| functions.iter().position(|function| function.name == name);
        let planner = Planner {
            index: &index,
            clients: setup.clients,
            network_us: setup.network_us,
            late_us: if setup.shoppers.is_open() {
                setup.prices.late_us
            } else {
                0.0
            },
        };
        let plans = CALLS.iter().map(|(name, ..)| {
            let kind = setup.prices.of(name)?;
            planner.plan(kind)
        });
        let plans = plans.collect::<Option<Vec<_>>>();
        let plans = plans.context("a function of the costs has no manifest")?;
        let cores = setup.machines.cores.iter();
        let servers = setup
            .machines
            .server
            .iter()
            .max()
            .map_or(1, |last| last + 1);
        Ok(Self {
            plans,
            rng: StdRng::seed_from_u64(setup.seed),
            events: Events::new(),
            tasks: Vec::new(),
            free: Vec::new(),
            cores: cores
                .map(|(_, count)| Cores::new(*count, setup.scheduler))
                .collect(),
            homes: HashMap::new(),
            rates: HashMap::new(),
            logs: vec![Log::default(); servers],
            locks: HashMap::new(),
            stock: setup.stock.clone(),
            orders: Vec::new(),
            told: CALLS.iter().map(|_| Told::new()).collect::<Result<_>>()?,
            shoppers: setup.shoppers.clone(),
            functions,
            edge: Servers::default(),
            last_answer: 0,
            setup,
            peak_connections: 0,
            lock_waited_us: 0,
            locked: 0,
        })
    }

    /// Runs until nothing happens any more.
    ///
    /// # Errors
    ///
    /// When it does not end, or the rules of the saga forbid what happened.
    pub(super) fn run(&mut self) -> Result<()> {
        for shopper in self.shoppers.first() {
            self.events.after(0, Event::Ask(shopper));
        }
        if let Some(delay) = self.shoppers.arrival(0, &mut self.rng) {
            self.events.after(delay, Event::Arrive);
        }
        while let Some(event) = self.events.next() {
            self.happens(event)?;
            if self.events.taken() > MAX_EVENTS {
                bail!("more than {MAX_EVENTS} events: ask for fewer shoppers, or a shorter time");
            }
        }
        for lock in self.locks.values() {
            self.lock_waited_us += lock.waited_us;
            self.locked += lock.taken;
        }
        Ok(())
    }

    pub(super) fn events(&self) -> u64 {
        self.events.taken()
    }

    /// Orders by their status, and units that were sold.
    pub(super) fn orders(&self) -> (Vec<(Status, usize)>, i64) {
        // An order whose request was refused was never placed.
        let placed = || self.orders.iter().filter(|order| order.phase != Phase::New);
        let count = |status| placed().filter(|o| o.saga.status == status).count();
        let paid = placed().filter(|o| o.saga.status == Status::Paid);
        let sold = paid.map(|order| order.units).sum();
        let by_status = Status::ALL
            .into_iter()
            .map(|status| (status, count(status)));
        (by_status.filter(|(_, n)| *n > 0).collect(), sold)
    }

    /// Orders whose driver did not bring them to an end.
    pub(super) fn unfinished(&self) -> usize {
        let placed = self.orders.iter().filter(|order| order.phase != Phase::New);
        placed.filter(|order| order.saga.action().is_some()).count()
    }

    /// Tasks, places and cores that are still in use.
    pub(super) fn left_over(&self) -> usize {
        let tasks = self.tasks.iter().flatten().count();
        let places = self.functions.iter().map(|f| &f.connections);
        let places = places.chain(self.locks.values()).filter(|p| !p.is_idle());
        let servers = self
            .functions
            .iter()
            .flat_map(|f| [&f.threads, &f.sessions]);
        let servers = servers.chain([&self.edge]);
        tasks + places.count() + servers.filter(|s| !s.is_idle()).count()
    }

    fn happens(&mut self, event: Event) -> Result<()> {
        match event {
            Event::Slice(set, timer) => self.sliced(set, timer)?,
            Event::Balance(set) => self.balance(set),
            Event::Resume(task) => self.advance(task)?,
            Event::Flushed(server) => {
                let (done, again) = self.logs[server].flushed();
                if again {
                    self.flush(server);
                }
                for task in done {
                    self.advance(task)?;
                }
            }
            Event::Tick(function) => self.tick(function)?,
            Event::Arrive => {
                let shopper = self.shoppers.come(&mut self.rng);
                if let Some(delay) = self.shoppers.arrival(self.events.now(), &mut self.rng) {
                    self.events.after(delay, Event::Arrive);
                }
                if let Some(shopper) = shopper {
                    self.asks(shopper)?;
                }
            }
            Event::Ask(shopper) => self.asks(shopper)?,
        }
        Ok(())
    }

    /// A shopper sends the next request, or goes.
    fn asks(&mut self, shopper: u32) -> Result<()> {
        let now = self.events.now();
        let Some(Next {
            kind,
            product,
            units,
        }) = self.shoppers.next(shopper, now, &mut self.rng)
        else {
            return Ok(());
        };
        self.told[kind].sent(now);
        let (program, order) = match &self.plans[kind] {
            Plan::Simple(program) => (Rc::clone(program), None),
            Plan::Order(plan) => {
                self.orders.push(Order::new(units));
                (Rc::clone(&plan.place), Some(self.orders.len() - 1))
            }
        };
        let task = self.add(Task {
            program,
            at: 0,
            kind,
            began: now,
            shopper: Some(shopper),
            order,
            product,
            depth: 0,
            ran_on: None,
            after: 0,
        });
        self.advance(task)
    }

    fn add(&mut self, task: Task) -> TaskId {
        if let Some(id) = self.free.pop() {
            self.tasks[id as usize] = Some(task);
            return id;
        }
        self.tasks.push(Some(task));
        (self.tasks.len() - 1) as TaskId
    }

    /// Goes on with a task until it waits for something. Others that it lets go on do so at once, too.
    fn advance(&mut self, first: TaskId) -> Result<()> {
        let mut ready = VecDeque::from([first]);
        while let Some(id) = ready.pop_front() {
            loop {
                let Some(task) = &mut self.tasks[id as usize] else {
                    bail!("a task that has ended goes on");
                };
                let Some(step) = task.program.get(task.at).copied() else {
                    self.ended(id);
                    break;
                };
                task.at += 1;
                if !self.does(id, &step, &mut ready)? {
                    break;
                }
            }
        }
        Ok(())
    }

    /// One step. Whether the task goes on at once.
    fn does(&mut self, id: TaskId, step: &Do, ready: &mut VecDeque<TaskId>) -> Result<bool> {
        let now = self.events.now();
        match *step {
            Do::Work(place, visit) => {
                self.works(id, place, visit)?;
                Ok(false)
            }
            Do::Hash(function, curve) => {
                self.hashes(id, function, curve)?;
                Ok(false)
            }
            Do::Hashed(function) => {
                self.functions[function].memory.give(now);
                Ok(true)
            }
            Do::Pause(mean) => {
                let us = self.draw(mean);
                if us == 0 {
                    return Ok(true);
                }
                self.events.after(us, Event::Resume(id));
                Ok(false)
            }
            Do::Commit { domain, share } => {
                if share < 1.0 && self.rng.random::<f64>() >= share {
                    return Ok(true);
                }
                let server = self.setup.machines.server[domain];
                if self.logs[server].commit(id, now) {
                    self.flush(server);
                }
                Ok(false)
            }
            Do::Enter(function) => {
                let (entry, starts) = self.functions[function].enter(id, now);
                self.start(function, starts);
                if entry != Entry::Refused {
                    self.task_mut(id)?.depth += 1;
                }
                match entry {
                    Entry::In => Ok(true),
                    Entry::Held => Ok(false),
                    Entry::Refused => {
                        self.refused(id)?;
                        Ok(false)
                    }
                }
            }
            Do::Leave(function) => {
                ready.extend(self.functions[function].leave(now));
                self.task_mut(id)?.depth -= 1;
                Ok(true)
            }
            Do::Connect(function) => Ok(self.functions[function].connections.take(id, now)),
            Do::Disconnect(function) => {
                ready.extend(self.functions[function].connections.give(now));
                Ok(true)
            }
            Do::Lock => {
                let product = self.task(id)?.product;
                let lock = self.locks.entry(product).or_insert_with(|| Places::new(1));
                Ok(lock.take(id, now))
            }
            Do::Unlock => {
                let product = self.task(id)?.product;
                if let Some(lock) = self.locks.get_mut(&product) {
                    ready.extend(lock.give(now));
                }
                Ok(true)
            }
            Do::TakeStock | Do::GiveStock => {
                let task = self.task(id)?;
                let (product, order) = (task.product, task.order);
                let order = order.context("stock of no order")?;
                let (order, stock) = (&mut self.orders[order], &mut self.stock[product]);
                order.event = Happened::Done;
                if *step == Do::GiveStock {
                    *stock += if order.taken { order.units } else { 0 };
                    order.taken = false;
                } else if *stock >= order.units {
                    *stock -= order.units;
                    order.taken = true;
                } else {
                    order.event = Happened::Refused;
                }
                Ok(true)
            }
            Do::Charge => {
                let declined = self.rng.random::<f64>() < self.setup.declined;
                let order = self.task(id)?.order.context("a charge of no order")?;
                self.orders[order].event = match declined {
                    true => Happened::Refused,
                    false => Happened::Done,
                };
                Ok(true)
            }
            Do::Next => {
                self.next(id)?;
                Ok(true)
            }
            Do::Ready(function) => {
                self.functions[function].started();
                self.admit(function, ready);
                for place in [Place::Function(function), Place::Shared(0, function)] {
                    self.more(place);
                }
                let open = self.functions.iter().map(|f| f.ready * f.pool).sum();
                self.peak_connections = self.peak_connections.max(open);
                Ok(true)
            }
        }
    }

    fn task(&self, id: TaskId) -> Result<&Task> {
        self.tasks[id as usize]
            .as_ref()
            .context("a task that has ended")
    }

    fn task_mut(&mut self, id: TaskId) -> Result<&mut Task> {
        self.tasks[id as usize]
            .as_mut()
            .context("a task that has ended")
    }

    /// The saga of an order says what is next.
    fn next(&mut self, id: TaskId) -> Result<()> {
        let task = self.tasks[id as usize]
            .as_mut()
            .context("a task that has ended")?;
        let order = task.order.context("a saga without order")?;
        let Plan::Order(plan) = &self.plans[task.kind] else {
            bail!("a saga of no order");
        };
        task.program = Rc::clone(self.orders[order].next(plan)?);
        task.at = 0;
        Ok(())
    }

    fn ended(&mut self, id: TaskId) {
        let Some(task) = self.tasks[id as usize].take() else {
            return;
        };
        self.free.push(id);
        let Some(shopper) = task.shopper else {
            return;
        };
        self.last_answer = self.events.now();
        let took = self.last_answer - task.began;
        self.told[task.kind].latency.saturating_record(took.max(1));
        self.asks_later(shopper);
    }

    /// Too many requests wait for a function. A shopper gets a 503. A function tries again.
    fn refused(&mut self, id: TaskId) -> Result<()> {
        let task = self.task_mut(id)?;
        if task.depth > 0 {
            task.at -= 1;
            self.events.after(RETRY_US, Event::Resume(id));
            return Ok(());
        }
        let (kind, shopper) = (task.kind, task.shopper);
        self.told[kind].refused += 1;
        self.tasks[id as usize] = None;
        self.free.push(id);
        if let Some(shopper) = shopper {
            self.asks_later(shopper);
        }
        Ok(())
    }

    fn asks_later(&mut self, shopper: u32) {
        let pause = self.shoppers.pause(shopper, &mut self.rng);
        self.events.after(pause, Event::Ask(shopper));
    }

    fn flush(&mut self, server: usize) {
        let flushes = &self.setup.prices.flushes_us;
        let us = match flushes.len() {
            0 => self.draw(self.setup.prices.flush_us),
            n => flushes[self.rng.random_range(0..n)].round() as Us,
        };
        self.events.after(us, Event::Flushed(server));
    }

    /// Instances start: CPU time, and the rest of the time until they are ready.
    fn start(&mut self, function: usize, starts: usize) {
        let prices = self.setup.prices;
        for _ in 0..starts {
            let rest = (prices.start_us - prices.start_cpu_us).max(0.0);
            let program = [
                Do::Work(Place::Start, Visit::new(prices.start_cpu_us)),
                Do::Pause(rest),
                Do::Ready(function),
            ];
            let id = self.add(Task {
                program: Rc::from(program),
                at: 0,
                kind: 0,
                began: self.events.now(),
                shopper: None,
                order: None,
                product: 0,
                depth: 0,
                ran_on: None,
                after: 0,
            });
            self.events.after(0, Event::Resume(id));
        }
        if starts > 0 && !self.functions[function].ticking {
            self.functions[function].ticking = true;
            let tick = self.functions[function].tick();
            self.events.after(tick, Event::Tick(function));
        }
    }

    fn tick(&mut self, function: usize) -> Result<()> {
        let now = self.events.now();
        let starts = self.functions[function].scale(now);
        self.start(function, starts);
        if self.functions[function].is_awake() {
            let tick = self.functions[function].tick();
            self.events.after(tick, Event::Tick(function));
        } else {
            self.functions[function].ticking = false;
        }
        Ok(())
    }

    /// Lets in those who wait for an instance or a connection, after there are more of them.
    fn admit(&mut self, function: usize, ready: &mut VecDeque<TaskId>) {
        let now = self.events.now();
        let function = &mut self.functions[function];
        ready.extend(std::iter::from_fn(|| function.admit(now)));
        ready.extend(std::iter::from_fn(|| function.connections.next(now)));
    }

    fn draw(&mut self, mean: f64) -> Us {
        self.draw_within(mean, EVEN)
    }

    /// A time with this mean, that is at most this share of it longer or shorter.
    fn draw_within(&mut self, mean: f64, spread: f64) -> Us {
        let u: f64 = self.rng.random();
        let us = match self.setup.spread {
            Spread::Even => mean * (1.0 + spread * (2.0 * u - 1.0)),
            Spread::Exponential => -mean * (1.0 - u).ln(),
        };
        // Rounded up as often as its fraction says, so that the mean is right.
        let whole = us.floor();
        let up = self.rng.random::<f64>() < us - whole;
        whole as Us + Us::from(up)
    }
}

impl std::fmt::Debug for World<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("World")
            .field("now", &self.events.now())
            .field("orders", &self.orders.len())
            .finish_non_exhaustive()
    }
}
