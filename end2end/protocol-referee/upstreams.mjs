// What stands behind the gateway: an HTTP/1.1 server with streams and a WebSocket of npm's `ws`, and a gRPC server of `@grpc/grpc-js`.
import grpc from "@grpc/grpc-js";
import { createServer } from "node:http";
import { setTimeout as pause } from "node:timers/promises";
import { WebSocketServer } from "ws";

/** Both servers, and what they noticed. */
export async function startUpstreams() {
  const noticed = { cancelled: 0, closed: [] };
  const http = createServer((request, response) => answer(request, response, noticed));
  const sockets = new WebSocketServer({ server: http, path: "/socket" });
  sockets.on("connection", (socket) => {
    socket.on("message", (data, binary) => (`${data}` === "leave" ? socket.close(4001, "as asked") : socket.send(data, { binary })));
    socket.on("close", (code) => noticed.closed.push(code));
  });
  await new Promise((resolve) => http.listen(0, "127.0.0.1", resolve));
  const calls = new grpc.Server();
  calls.addService(service, methods(noticed));
  const grpcPort = await new Promise((resolve, reject) =>
    calls.bindAsync("127.0.0.1:0", grpc.ServerCredentials.createInsecure(), (error, port) => (error ? reject(error) : resolve(port))),
  );
  const stop = () => {
    sockets.clients.forEach((socket) => socket.terminate());
    http.closeAllConnections();
    http.close();
    calls.forceShutdown();
  };
  return { http: `http://127.0.0.1:${http.address().port}`, grpc: `http://127.0.0.1:${grpcPort}`, noticed, stop };
}

async function answer(request, response, noticed) {
  const { pathname } = new URL(request.url, "http://upstream");
  if (pathname === "/events") {
    response.writeHead(200, { "content-type": "text/event-stream" });
    for (let number = 1; number <= 5; number++) {
      response.write(`id: ${number}\nevent: tick\ndata: ${Date.now()}\n\n`);
      await pause(150);
    }
    return response.end();
  }
  if (pathname === "/hang") {
    response.on("close", () => noticed.cancelled++);
    return response.writeHead(200).flushHeaders();
  }
  if (pathname === "/echo") {
    response.writeHead(200, { "x-seen-version": request.httpVersion, "x-seen-proto": request.headers["x-forwarded-proto"] });
    return request.pipe(response);
  }
  response.writeHead(404).end();
}

const text = { serialize: (value) => Buffer.from(value), deserialize: (bytes) => bytes.toString() };
const method = (name, requestStream, responseStream) => ({
  path: `/echo.Echo/${name}`,
  requestStream,
  responseStream,
  requestSerialize: text.serialize,
  requestDeserialize: text.deserialize,
  responseSerialize: text.serialize,
  responseDeserialize: text.deserialize,
});

/** The four kinds of calls that gRPC has; messages are texts. */
export const service = {
  unary: method("Unary", false, false),
  collect: method("Collect", true, false),
  watch: method("Watch", false, true),
  chat: method("Chat", true, true),
};

const methods = (noticed) => ({
  unary: (call, done) => {
    if (call.request === "nobody") {
      const metadata = new grpc.Metadata();
      metadata.set("x-detail", "of the upstream");
      return done({ code: grpc.status.NOT_FOUND, details: "nobody is there: 100 %", metadata });
    }
    const trailers = new grpc.Metadata();
    trailers.set("x-trailer", "at the end");
    done(null, `${call.request}, ${call.metadata.get("x-name")[0] ?? "unnamed"}`, trailers);
  },
  collect: (call, done) => {
    const seen = [];
    call.on("data", (one) => seen.push(one));
    call.on("end", () => done(null, seen.join("+")));
  },
  watch: async (call) => {
    call.on("cancelled", () => noticed.cancelled++);
    for (let number = 0; number < Number(call.request) && !call.cancelled; number++) {
      call.write(`${number}`);
      await pause(50);
    }
    call.end();
  },
  chat: (call) => {
    call.on("data", (one) => call.write(`re: ${one}`));
    call.on("end", () => call.end());
  },
});
