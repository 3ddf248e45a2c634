/** The core of a node that has not started. */
import { assertInvariant } from '../../errors.js'
import type { CopyFacts } from './facts.js'
import type { CoreState, Peer } from './state.js'
import type { CoreOptions } from './types.js'

/** A core before its `start` input. */
export function createCore(options: CoreOptions): CoreState {
  const index = options.members.findIndex((member) => member.id === options.nodeId)
  const ids = new Set(options.members.map((member) => member.id))
  assertInvariant(ids.size === options.members.length, 'a member is listed twice')
  assertInvariant(index >= 0, `the node ${options.nodeId} is not among the members`)
  const peers = new Map<string, Peer>()
  for (const [at, member] of options.members.entries()) {
    if (at !== index) peers.set(member.id, createPeer(member.id, at, member.promotable))
  }
  return {
    options,
    index,
    promotable: options.members[index]?.promotable ?? false,
    peers,
    role: 'stopped',
    started: false,
    bootPersistId: undefined,
    promisePersistId: undefined,
    nowMs: 0,
    wallMs: 0,
    timers: new Map(),
    copy: emptyCopy,
    durable: { promised: undefined, known: undefined, lastStop: 'never' },
    previousStop: 'never',
    wasReplica: false,
    joining: options.join ?? false,
    tookPart: false,
    fetchedCount: 0,
    followed: undefined,
    completedTerm: undefined,
    counted: undefined,
    served: undefined,
    discovery: undefined,
    round: undefined,
    pledge: undefined,
    following: undefined,
    tenure: undefined,
    handover: undefined,
    stopping: undefined,
    attempts: 0,
    leftOut: [],
    setDoubted: false,
    otherRound: undefined,
    withoutPeers: new Set(),
    holdsFor: [],
    frozenFor: new Set(),
    reported: new Set(),
    announce: false,
    nextId: 1,
    effects: [],
    decisions: [],
  }
}

const emptyCopy: CopyFacts = {
  history: [],
  seq: 0,
  durableSeq: 0,
  complete: true,
  inSync: undefined,
  inSyncKnown: false,
  ineligible: undefined,
}

function createPeer(id: string, index: number, promotable: boolean): Peer {
  return {
    id,
    index,
    promotable,
    link: false,
    dialled: false,
    accepted: false,
    undialledSinceMs: undefined,
    linkBootId: undefined,
    lostLink: false,
    undialled: false,
    refusal: undefined,
    heardSinceLost: false,
    refused: false,
    refusedSinceMs: undefined,
    refusedAtMs: undefined,
    gone: false,
    stopped: false,
    heardAtMs: undefined,
    view: undefined,
    reached: undefined,
    fetching: undefined,
    up: undefined,
    counted: 'unknown',
    deafSinceMs: undefined,
    unheardSinceMs: undefined,
    unfetchableSinceMs: undefined,
    owedQueryId: undefined,
  }
}
