"""One peripheral on paho-mqtt, checked for what MQTT 5 says beside the payload.

Arguments: port, client id, what to do, and for TLS the file of the authority to trust. Prints one JSON object for each thing that happens.
"""

import json
import sys

import paho.mqtt.client as mqtt
from paho.mqtt.enums import CallbackAPIVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

port, client_id, task = int(sys.argv[1]), sys.argv[2], sys.argv[3]


def say(**what):
    print(json.dumps(what), flush=True)


def properties_of(properties):
    return properties.json() if properties is not None else {}


def on_connect(client, _userdata, flags, reason, properties):
    say(what="connected", code=reason.value, present=flags.session_present, properties=properties_of(properties))
    if reason.value == 0:
        client.subscribe(f"bugle/{client_id}/requests", qos=0 if task == "qos0" else 1)


def on_subscribe(_client, _userdata, _mid, reasons, properties):
    say(what="subscribed", codes=[reason.value for reason in reasons], properties=properties_of(properties))
    if task == "foreign":
        client.publish("bugle/somebody-else/reports/x", b"1", qos=1)


def on_publish(_client, _userdata, _mid, reason, properties):
    say(what="published", code=reason.value, properties=properties_of(properties))


def on_message(client, _userdata, message):
    given = message.properties
    say(
        what="request",
        payload=json.loads(message.payload),
        response_topic=given.ResponseTopic,
        correlation=given.CorrelationData.decode(),
        content_type=given.ContentType,
        expiry=given.MessageExpiryInterval,
    )
    answer = Properties(PacketTypes.PUBLISH)
    answer.CorrelationData = given.CorrelationData
    answer.ContentType = "application/json"
    if task == "refuse":
        answer.UserProperty = ("bugle-refused", "the valve is stuck")
    client.publish(given.ResponseTopic, b'{"ok":true}', qos=2 if task == "qos2" else 1, properties=answer)


def on_disconnect(_client, _userdata, _flags, reason, _properties):
    say(what="disconnected", code=reason.value)


client = mqtt.Client(CallbackAPIVersion.VERSION2, client_id=client_id, protocol=mqtt.MQTTv5)
client.on_connect = on_connect
client.on_subscribe = on_subscribe
client.on_publish = on_publish
client.on_message = on_message
client.on_disconnect = on_disconnect
session = Properties(PacketTypes.CONNECT)
session.SessionExpiryInterval = 600
if len(sys.argv) > 4:
    client.tls_set(ca_certs=sys.argv[4])
client.connect("127.0.0.1", port, keepalive=30, clean_start=False, properties=session)
client.loop_start()
for line in sys.stdin:
    if line.strip() == "sleep":
        client.disconnect()
    elif line.strip() == "leave":
        leaving = Properties(PacketTypes.DISCONNECT)
        leaving.SessionExpiryInterval = 0
        client.disconnect(properties=leaving)
    elif line.strip() == "wake":
        # Its thread ended with the connection.
        client.loop_stop()
        client.reconnect()
        client.loop_start()
client.loop_stop()
