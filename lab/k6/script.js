// The load of scenario.toml for k6: the two are compared with each other by `compare.py`.
//
// TARGET: the player API with its base path; EVENTS: host:port of the events; PROTO: the folder of
// the proto files; NAMESPACE: the game. The players must have signed in before (the lab does it).
import exec from 'k6/execution';
import grpc from 'k6/net/grpc';
import http from 'k6/http';
import { check, sleep } from 'k6';

const TARGET = __ENV.TARGET;
const EVENTS = __ENV.EVENTS;
const NAMESPACE = __ENV.NAMESPACE || 'gauntlet';
const PLAYERS = 200;
const DURATION = __ENV.DURATION || '30s';
const RUN = __ENV.RUN || `${Date.now()}`;

const client = new grpc.Client();
client.load([__ENV.PROTO], 'accelbyte/social/statistic/v1/statistic.proto');

export const options = {
  discardResponseBodies: false,
  summaryTrendStats: ['count', 'avg', 'med', 'p(95)', 'p(99)', 'max'],
  scenarios: {
    browse: {
      executor: 'constant-arrival-rate', exec: 'browse',
      rate: 100, timeUnit: '1s', duration: DURATION, preAllocatedVUs: 50, maxVUs: 500,
    },
    events: {
      executor: 'constant-arrival-rate', exec: 'stat',
      rate: 200, timeUnit: '1s', duration: DURATION, preAllocatedVUs: 50, maxVUs: 500,
    },
    players: { executor: 'constant-vus', exec: 'initialize', vus: 20, duration: DURATION, gracefulStop: '5s' },
  },
  // Thresholds that always hold: without them the summary has no figures by name.
  thresholds: {
    'http_req_duration{name:browse}': ['max>=0'],
    'http_req_duration{name:initialize}': ['max>=0'],
    'http_reqs{name:browse}': ['count>=0'],
    'http_reqs{name:initialize}': ['count>=0'],
    'http_req_failed{name:browse}': ['rate<=1'],
    'grpc_req_duration': ['max>=0'],
    'checks': ['rate>=0'],
  },
};

function player(number) {
  return `k6-${RUN}-${number}`;
}

function as(name, number) {
  return { headers: { 'x-mock-user-id': player(number) }, tags: { name } };
}

// Signs all players in, as `prepare = "all"` does.
export function setup() {
  for (let number = 0; number < PLAYERS; number += 1) {
    http.post(`${TARGET}/v1/challenges/initialize`, null, as('setup', number));
  }
}

export function browse() {
  const number = Math.floor(Math.random() * PLAYERS);
  const reply = http.get(`${TARGET}/v1/challenges`, as('browse', number));
  check(reply, { 'browse is answered': (r) => r.status === 200 });
}

export function initialize() {
  const number = exec.vu.idInTest % PLAYERS;
  const reply = http.post(`${TARGET}/v1/challenges/initialize`, null, as('initialize', number));
  check(reply, { 'initialize is answered': (r) => r.status === 200 });
  sleep(0.5);
}

let connected = false;

export function stat() {
  // A connection for each virtual user, made once.
  if (!connected) {
    client.connect(EVENTS, { plaintext: true });
    connected = true;
  }
  const user = player(Math.floor(Math.random() * PLAYERS));
  const event = {
    id: `${RUN}-${exec.scenario.iterationInTest}`, version: 1, name: 'statItemUpdated',
    namespace: NAMESPACE, timestamp: new Date().toISOString(), user_id: user,
    payload: {
      namespace: NAMESPACE, stat_code: 'enemy_kills', user_id: user,
      latest_value: Math.floor(Math.random() * 1000), inc: 0,
    },
  };
  const method = 'accelbyte.social.statistic.v1.StatisticStatItemUpdatedService/OnMessage';
  const reply = client.invoke(method, event);
  check(reply, { 'event is acknowledged': (r) => r && r.status === grpc.StatusOK });
}
