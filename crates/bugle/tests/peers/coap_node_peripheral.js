// One LwM2M peripheral on coap-node: a thermometer that speaks TLV and text.
//
// Arguments: port of the server, endpoint name. Prints one JSON object for each thing that happens, and does
// what the lines of its standard input say.
'use strict';

const readline = require('readline');
const CoapNode = require('coap-node');
const SmartObject = require('smartobject');

const [port, endpoint] = process.argv.slice(2);
const say = (what) => console.log(JSON.stringify(what));

const objects = new SmartObject();
let place = 'kitchen';
objects.init('temperature', 0, {
  sensorValue: 21.5,
  units: 'Cel',
  5750: {
    read: (done) => done(null, place),
    write: (value, done) => { place = value; say({ what: 'written', value }); done(null, value); },
  },
  5605: { exec: (...given) => { const done = given.pop(); say({ what: 'executed', arguments: given }); done(null); } },
});

const node = new CoapNode(endpoint, objects, { lifetime: 600, version: '1.0' });
node.on('error', (error) => say({ what: 'error', error: String(error) }));
const tell = (what) => (error, answer) => say({ what, error: error && String(error), status: answer && answer.status });

const words = {
  register: () => node.register('127.0.0.1', port, tell('registered')),
  update: () => node.update({ lifetime: node.lifetime + 1 }, tell('updated')),
  warm: () => objects.write('temperature', 0, 'sensorValue', 22.5, () => {}),
  checkout: () => node.checkout(tell('checked out')),
  leave: () => node.deregister(tell('left')),
};
readline.createInterface({ input: process.stdin }).on('line', (line) => words[line.trim()]());
