// One LwM2M peripheral on lwm2m-node-lib: a thermometer that speaks plain text.
//
// Arguments: port of the server, endpoint name. Prints one JSON object for each thing that happens, and does
// what the lines of its standard input say. Asleep, it has no socket; it comes back from another port.
'use strict';

const readline = require('readline');
const logops = require('logops');
const { client } = require('lwm2m-node-lib');
const router = require('lwm2m-node-lib/lib/services/coapRouter');

const [port, endpoint] = process.argv.slice(2);
const say = (what) => console.log(JSON.stringify(what));
let device;

logops.stream = process.stderr;
logops.setLevel('FATAL');
client.init({
  client: {
    lifetime: '600', version: '1.0', logLevel: 'FATAL', ipProtocol: 'udp4', serverProtocol: 'udp4', formats: [],
  },
});

function handle() {
  client.setHandler(device.serverInfo, 'read', (object, instance, resource, value, done) => {
    say({ what: 'read', path: `/${object}/${instance}/${resource}` });
    done(null, value);
  });
  client.setHandler(device.serverInfo, 'write', (object, instance, resource, value, done) => {
    say({ what: 'written', path: `/${object}/${instance}/${resource}`, value });
    done(null);
  });
  client.setHandler(device.serverInfo, 'execute', (object, instance, resource, value, done) => {
    say({ what: 'executed', path: `/${object}/${instance}/${resource}`, arguments: value });
    done(null);
  });
}

// A code comes only with an error.
const code = (error) => (error ? error.code || String(error) : null);

const words = {
  register() {
    client.register('127.0.0.1', port, null, endpoint, (error, registered) => {
      device = registered;
      if (!error) handle();
      say({ what: 'registered', error: code(error), location: device && device.location });
    });
  },
  update() {
    const { location } = device;
    client.update(device, (error, updated) => {
      device = updated || device;
      // The library adds to its location whatever a response names.
      device.location = location;
      if (!error) handle();
      say({ what: 'updated', error: code(error) });
    });
  },
  warm() {
    client.registry.setResource('/3303/0', 5700, '22.5', () => {});
  },
  sleep() {
    router.stop(device.serverInfo, () => say({ what: 'asleep' }));
  },
  leave() {
    client.unregister(device, (error) => {
      say({ what: 'left', error: code(error) });
    });
  },
};

const values = [
  ['/3/0', 0, 'Peers and Sons'], ['/3303/0', 5700, '21.5'], ['/3303/0', 5701, 'Cel'], ['/3303/0', 5750, 'kitchen'],
];
for (const [object, resource, value] of values) {
  client.registry.get(object, (missing) => {
    const set = () => client.registry.setResource(object, resource, value, () => {});
    if (missing) client.registry.create(object, set); else set();
  });
}
readline.createInterface({ input: process.stdin }).on('line', (line) => words[line.trim()]());
