//! The parts in one process, in the order in which they need each other.

use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use anyhow::Context;
use bugle_api::{NewGateway, NewToken, Scope};
use bugle_application::Application;
use bugle_client::Client;
use bugle_gateway::Gateway;
use bugle_runtime::Shutdown;
use toml::Value;

use super::folder::Folder;
use super::ports;
use super::town::Town;
use crate::application_api::ApplicationApi;
use crate::connection::ClientFile;
use crate::failure::Failure;

const PLATFORM_FOLDER: &str = "platform";
const APPLICATION_FOLDER: &str = "application";
const APPLICATION_TOKEN: &str = "application-at-platform.token";
const PLATFORM_HTTP: u16 = 8480;
const LINK: u16 = 8481;
const APPLICATION_HTTP: u16 = 8482;
const GATEWAY_HTTP: u16 = 8483;
const MQTT: u16 = 1883;
/// Plain, and under DTLS the next; two for each gateway.
const LWM2M: u16 = 5683;
/// After which a gateway is not going to reach a platform on the same machine.
const LINK_PATIENCE: Duration = Duration::from_secs(20);

/// All parts, at work.
pub(crate) struct Parts {
    /// Speaks to the platform as the operator.
    pub(crate) client: Client,
    /// Speaks to the application.
    pub(crate) application_api: ApplicationApi,
    pub(crate) platform: bugle_platform::Handle,
    pub(crate) application: bugle_application::Handle,
    /// With where their MQTT peripherals connect, in the order of the town's gateways.
    pub(crate) gateways: Vec<(Gateway, SocketAddr)>,
    /// Addresses that others had already: what for, which one, and the one taken in its place.
    pub(crate) moved: Vec<Moved>,
    /// Gateways that enrolled just now.
    pub(crate) enrolled: usize,
    shutdowns: Shutdowns,
}

/// An address that was taken.
#[derive(Debug)]
pub(crate) struct Moved {
    pub(crate) what: String,
    pub(crate) wanted: SocketAddr,
    pub(crate) got: SocketAddr,
}

#[derive(Debug)]
struct Shutdowns {
    platform: Shutdown,
    application: Shutdown,
    gateways: Shutdown,
}

/// Addresses, each as wanted or, where that is taken, another.
#[derive(Debug, Default)]
struct Addresses {
    moved: Vec<Moved>,
}

impl Addresses {
    fn choose(&mut self, what: impl Into<String>, wanted: SocketAddr) -> Result<SocketAddr, Failure> {
        let got = ports::choose(wanted)?;
        self.note(what, wanted, got);
        Ok(got)
    }

    fn choose_for_datagrams(&mut self, what: impl Into<String>, wanted: SocketAddr) -> Result<SocketAddr, Failure> {
        let got = ports::choose_for_datagrams(wanted)?;
        self.note(what, wanted, got);
        Ok(got)
    }

    fn note(&mut self, what: impl Into<String>, wanted: SocketAddr, got: SocketAddr) {
        if got != wanted {
            self.moved.push(Moved { what: what.into(), wanted, got });
        }
    }
}

impl Parts {
    /// Starts platform, application and gateways, and enrols gateways that have not enrolled here yet.
    pub(crate) async fn start(folder: &Folder, mqtt_base_port: Option<u16>, town: &Town) -> Result<Self, Failure> {
        let shutdowns =
            Shutdowns { platform: Shutdown::manual(), application: Shutdown::manual(), gateways: Shutdown::manual() };
        let mut addresses = Addresses::default();
        let platform = start_platform(folder, &mut addresses, &shutdowns.platform).await?;
        let url = format!("http://{}", platform.http_address);
        let token = std::fs::read_to_string(&platform.operator_token_file);
        let token = token.with_context(|| format!("{}", platform.operator_token_file.display()))?;
        let client = Client::new(&url, token.trim())?;
        client.add_application(&town.application).await?;

        ensure_application_token(folder, &client, town).await?;
        let application = start_application(folder, &mut addresses, &url, town, &shutdowns.application).await?;
        let application_token = std::fs::read_to_string(application.token_file()).context("the application's token")?;
        let application_url = format!("http://{}", application.address());
        let application_api = ApplicationApi::new(&application_url, application_token.trim().to_owned())?;

        let link = platform.link_address;
        let mut starting =
            GatewayStart { folder, addresses: &mut addresses, client: &client, url: &url, link, enrolled: 0 };
        let mut gateways = Vec::with_capacity(town.gateways.len());
        for place in 0..town.gateways.len() {
            let port = mqtt_base_port.map(|base| base + place as u16);
            gateways.push(starting.start(town, place, port, &shutdowns.gateways).await?);
        }
        let enrolled = starting.enrolled;
        folder.write_client_file(&ClientFile {
            platform: Some(url),
            token_file: Some([PLATFORM_FOLDER, bugle_platform::OPERATOR_TOKEN_FILE].iter().collect()),
            application: Some(town.application.clone()),
            application_url: Some(application_url),
            application_token_file: Some(application.token_file().to_owned()),
        })?;
        let moved = addresses.moved;
        Ok(Self { client, application_api, platform, application, gateways, moved, enrolled, shutdowns })
    }

    /// Waits until every gateway has reached the platform.
    pub(crate) async fn linked(&self, town: &Town) -> Result<(), Failure> {
        for (id, (gateway, _)) in town.gateways.iter().zip(&self.gateways) {
            if tokio::time::timeout(LINK_PATIENCE, gateway.linked()).await.is_err() {
                let link = gateway.link();
                let reason = link.failure().unwrap_or("it has not answered yet");
                return Err(Failure::Here(anyhow::anyhow!(
                    "gateway {id} has not reached the platform within {} s: {reason}; `bugle up --log warn` shows more",
                    LINK_PATIENCE.as_secs()
                )));
            }
        }
        Ok(())
    }

    /// Returns when a part has ended that nobody had end.
    pub(crate) async fn ended_by_itself(&self) {
        tokio::select! {
            () = self.shutdowns.platform.requested() => {}
            () = self.shutdowns.application.requested() => {}
            () = self.shutdowns.gateways.requested() => {}
        }
    }

    /// Ends them, each before the one that it needs.
    pub(crate) async fn stop(self) -> Result<(), Failure> {
        self.shutdowns.gateways.request();
        for (gateway, _) in self.gateways {
            gateway.ended().await.context("a gateway could not go on")?;
        }
        self.shutdowns.application.request();
        self.application.ended().await.context("the application could not go on")?;
        self.shutdowns.platform.request();
        self.platform.ended().await;
        Ok(())
    }
}

async fn start_platform(
    folder: &Folder,
    addresses: &mut Addresses,
    shutdown: &Shutdown,
) -> Result<bugle_platform::Handle, Failure> {
    let mut config: bugle_platform::Config = folder.config("platform.toml", || {
        let (http, link) =
            (addresses.choose("the platform", local(PLATFORM_HTTP))?, addresses.choose("the link", local(LINK))?);
        let data = quoted(folder, PLATFORM_FOLDER);
        Ok(format!(
            "# The platform of `bugle up`; `bugle config platform` explains everything that may stand here.\n\
             data_folder = {data}\nhttp_listen = \"{http}\"\nlink_listen = \"{link}\"\n"
        ))
    })?;
    config.data_folder = folder.inner(PLATFORM_FOLDER);
    config.http_listen = addresses.choose("the platform", config.http_listen)?;
    config.link_listen = addresses.choose("the link", config.link_listen)?;
    let started = bugle_platform::start(config, shutdown.clone()).await;
    Ok(started.context("the platform does not start")?)
}

/// The application's own token for the platform, with what it needs and no more.
async fn ensure_application_token(folder: &Folder, client: &Client, town: &Town) -> Result<(), Failure> {
    if folder.read(APPLICATION_TOKEN)?.is_some() {
        return Ok(());
    }
    let new = NewToken {
        name: format!("application {}", town.application),
        scopes: [Scope::EventsRead, Scope::RegistrationsDecide].into(),
        application: Some(town.application.clone()),
        expires_in_seconds: None,
    };
    folder.write_secret(APPLICATION_TOKEN, &client.issue_token(&new).await?.secret)
}

async fn start_application(
    folder: &Folder,
    addresses: &mut Addresses,
    platform: &str,
    town: &Town,
    shutdown: &Shutdown,
) -> Result<bugle_application::Handle, Failure> {
    let mut config: bugle_application::Config = folder.config("application.toml", || {
        let http = addresses.choose("the application", local(APPLICATION_HTTP))?;
        Ok(format!(
            "# The application of `bugle up`; `bugle config application` explains everything that may stand here.\n\
             id = \"{}\"\ndata_folder = {}\npolicy = {}\nhttp_listen = \"{http}\"\n\n\
             [platform]\nurl = \"{platform}\"\ntoken_file = {}\n",
            town.application,
            quoted(folder, APPLICATION_FOLDER),
            Value::from(folder.policy().display().to_string()),
            quoted(folder, APPLICATION_TOKEN),
        ))
    })?;
    config.data_folder = folder.inner(APPLICATION_FOLDER);
    config.policy = Some(folder.policy());
    config.http_listen = addresses.choose("the application", config.http_listen)?;
    config.platform.url = platform.to_owned();
    config.platform.token = None;
    config.platform.token_file = Some(folder.inner(APPLICATION_TOKEN));
    let started = Application::start(config, shutdown.clone()).await;
    Ok(started.context("the application does not start")?)
}

/// What starting a gateway takes.
struct GatewayStart<'a> {
    folder: &'a Folder,
    addresses: &'a mut Addresses,
    client: &'a Client,
    url: &'a str,
    link: SocketAddr,
    enrolled: usize,
}

impl GatewayStart<'_> {
    async fn start(
        &mut self,
        town: &Town,
        place: usize,
        mqtt_port: Option<u16>,
        shutdown: &Shutdown,
    ) -> Result<(Gateway, SocketAddr), Failure> {
        let id = &town.gateways[place];
        let own_folder = format!("gateway-{id}");
        let token_file = format!("{own_folder}.token");
        let mut config = self.config(town, place, &own_folder, &token_file)?;
        config.id = id.clone();
        config.data_folder = self.folder.inner(&own_folder);
        config.allocations = Some(self.folder.inner(&Folder::allocations_name(town, place)));
        config.http_listen = self.addresses.choose(format!("the HTTP of gateway {id}"), config.http_listen)?;
        let said = mqtt_port.map(local).or(config.mqtt.listen).unwrap_or_else(|| local(MQTT + place as u16));
        config.mqtt.listen = Some(self.addresses.choose(format!("MQTT at gateway {id}"), said)?);
        let plain = LWM2M + 2 * place as u16;
        for (listen, what, port) in
            [(&mut config.lwm2m.listen, "LwM2M", plain), (&mut config.lwm2m.dtls_listen, "LwM2M under DTLS", plain + 1)]
        {
            let wanted = listen.unwrap_or_else(|| local(port));
            *listen = Some(self.addresses.choose_for_datagrams(format!("{what} at gateway {id}"), wanted)?);
        }
        config.platform.url = self.url.to_owned();
        config.platform.enrollment_token = None;
        config.platform.enrollment_token_file = Some(self.folder.inner(&token_file));
        if !self.is_enrolled(&own_folder)? {
            let token = self.client.add_gateway(&NewGateway { id: id.clone(), expires_in_seconds: None }).await?;
            self.folder.write_secret(&token_file, &token.token)?;
            self.enrolled += 1;
        }
        let gateway = Gateway::start(config, shutdown.clone()).await;
        let gateway = gateway.with_context(|| format!("gateway {id} does not start"))?;
        let mqtt = gateway.mqtt_address().context("the gateway listens for MQTT")?;
        Ok((gateway, mqtt))
    }

    fn config(
        &mut self,
        town: &Town,
        place: usize,
        own_folder: &str,
        token_file: &str,
    ) -> Result<bugle_gateway::Config, Failure> {
        let id = &town.gateways[place];
        let (folder, url) = (self.folder, self.url);
        let addresses = &mut *self.addresses;
        folder.config(&format!("{own_folder}.toml"), || {
            let http = addresses.choose(format!("the HTTP of gateway {id}"), local(GATEWAY_HTTP + place as u16))?;
            let mqtt = addresses.choose(format!("MQTT at gateway {id}"), local(MQTT + place as u16))?;
            Ok(format!(
                "# Gateway {id} of `bugle up`; `bugle config gateway` explains everything that may stand here.\n\
                 id = \"{id}\"\ndata_folder = {}\nallocations = {}\nhttp_listen = \"{http}\"\n\n\
                 [platform]\nurl = \"{url}\"\nenrollment_token_file = {}\n\n[mqtt]\nlisten = \"{mqtt}\"\n",
                quoted(folder, own_folder),
                quoted(folder, &Folder::allocations_name(town, place)),
                quoted(folder, token_file),
            ))
        })
    }

    /// Whether the gateway enrolled, at a platform whose link was where it is now.
    fn is_enrolled(&self, own_folder: &str) -> Result<bool, Failure> {
        let path = self.folder.inner(own_folder).join("link.toml");
        match std::fs::read_to_string(&path) {
            Ok(text) if text.contains(&format!("\"{}\"", self.link)) => Ok(true),
            Ok(_) => {
                std::fs::remove_file(&path).with_context(|| format!("cannot remove {}", path.display()))?;
                Ok(false)
            }
            Err(_) => Ok(false),
        }
    }
}

fn local(port: u16) -> SocketAddr {
    SocketAddr::from((Ipv4Addr::LOCALHOST, port))
}

/// A file or folder within, as a TOML text.
fn quoted(folder: &Folder, name: &str) -> Value {
    Value::from(folder.inner(name).display().to_string())
}
