"""One LwM2M peripheral on aiocoap: a thermometer that speaks SenML-JSON, sleeps and is asked in blocks.

Arguments: port of the server, endpoint name. Prints one JSON object for each thing that happens, and does
what the lines of its standard input say. Asleep, it has no socket; it comes back from another port.
"""

import asyncio
import base64
import json
import sys

import aiocoap
from aiocoap import resource

LINK_FORMAT, SENML_JSON = 40, 110
port, endpoint = int(sys.argv[1]), sys.argv[2]
# Manufacturer, model, temperature, units, application type, and the data of the Binary App Data Container.
values = {
    "/3/0/0": "Peers and Sons",
    "/3/0/1": "a model with a long name " * 200,
    "/3303/0/5700": 21.5,
    "/3303/0/5701": "Cel",
    "/3303/0/5750": "",
    "/19/0/0": b"",
}


def say(**what):
    print(json.dumps(what), flush=True)


def record(path):
    value = values[path]
    if isinstance(value, bytes):
        return {"n": path, "vd": base64.urlsafe_b64encode(value).decode().rstrip("=")}
    return {"n": path, "vs" if isinstance(value, str) else "v": value}


def take(entry, base):
    path = entry.get("bn", base) + entry.get("n", "")
    if "vd" in entry:
        data = base64.urlsafe_b64decode(entry["vd"] + "=" * (-len(entry["vd"]) % 4))
        # The resource has several instances, of which there is one here.
        values[path.removesuffix("/0") if path.count("/") == 4 else path] = data
    else:
        values[path] = entry.get("vs", entry.get("v", entry.get("vb")))


class Objects(resource.ObservableResource):
    """Everything below /; messages larger than a block are put together and taken apart by the library."""

    def __init__(self):
        super().__init__()
        self.observers = {}

    async def add_observation(self, request, observation):
        path = "/" + "/".join(request.opt.uri_path)
        if path not in values:
            return
        self.observers.setdefault(path, set()).add(observation)

        def end():
            self.observers[path].discard(observation)
            say(what="observed no more", path=path)

        observation.accept(end)
        say(what="observed", path=path)

    def change(self, path, value):
        values[path] = value
        for observation in self.observers.get(path, ()):
            observation.trigger()

    async def render(self, request):
        path = "/" + "/".join(request.opt.uri_path)
        accept, form = request.opt.accept, request.opt.content_format
        say(
            what=str(request.code).lower(),
            path=path,
            accept=accept and int(accept),
            format=None if form is None else int(form),
            bytes=len(request.payload),
        )
        render = {"GET": self.read, "PUT": self.write, "POST": self.execute}[str(request.code)]
        return render(path, request)

    def read(self, path, _request):
        below = [known for known in values if known == path or known.startswith(path + "/")]
        if not below:
            return aiocoap.Message(code=aiocoap.NOT_FOUND)
        payload = json.dumps([record(known) for known in below]).encode()
        return aiocoap.Message(code=aiocoap.CONTENT, payload=payload, content_format=SENML_JSON)

    def write(self, path, request):
        if request.opt.content_format != SENML_JSON:
            return aiocoap.Message(code=aiocoap.UNSUPPORTED_CONTENT_FORMAT)
        if path == "/3303/0/5700":
            return aiocoap.Message(code=aiocoap.METHOD_NOT_ALLOWED)
        base = ""
        for entry in json.loads(request.payload):
            base = entry.get("bn", base)
            take(entry, base)
        written = values.get(path)
        say(what="written", path=path, length=len(written), end=str(written[-8:]))
        return aiocoap.Message(code=aiocoap.CHANGED)

    def execute(self, path, request):
        say(what="executed", path=path, arguments=request.payload.decode())
        return aiocoap.Message(code=aiocoap.CHANGED)


class Peripheral:
    context = None
    objects = None
    location = ()

    async def wake(self):
        self.objects = Objects()
        self.context = await aiocoap.Context.create_server_context(self.objects, bind=("127.0.0.1", 0))

    async def ask(self, code, path, query=(), payload=b"", form=None):
        message = aiocoap.Message(code=code, payload=payload, content_format=form)
        message.set_request_uri(f"coap://127.0.0.1:{port}")
        message.opt.uri_path, message.opt.uri_query = path, query
        return await self.context.request(message).response

    async def register(self):
        await self.wake()
        links = '</>;rt="oma.lwm2m";ct=110,</1/0>,</3/0>,</19/0>,</3303/0>,</3303/0/5700>;pmin=1'
        query = ("lwm2m=1.1", f"ep={endpoint}", "lt=600", "b=U", "Q")
        answer = await self.ask(aiocoap.POST, ("rd",), query, links.encode(), LINK_FORMAT)
        self.location = answer.opt.location_path
        say(what="registered", code=answer.code.dotted, location="/".join(self.location))

    async def update(self):
        await self.wake()
        answer = await self.ask(aiocoap.POST, self.location)
        say(what="updated", code=answer.code.dotted)

    async def send(self):
        payload = json.dumps([record("/3303/0/5700"), record("/3303/0/5701")]).encode()
        answer = await self.ask(aiocoap.POST, ("dp",), (), payload, SENML_JSON)
        say(what="sent", code=answer.code.dotted)

    async def warm(self):
        self.objects.change("/3303/0/5700", values["/3303/0/5700"] + 1)

    async def sleep(self):
        await self.context.shutdown()
        say(what="asleep")

    async def leave(self):
        answer = await self.ask(aiocoap.DELETE, self.location)
        say(what="left", code=answer.code.dotted)


async def main():
    peripheral = Peripheral()
    while line := await asyncio.to_thread(sys.stdin.readline):
        await getattr(peripheral, line.strip())()


asyncio.run(main())
