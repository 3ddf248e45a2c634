/**
 * Checks the options of a node before anything is opened: their names, types, values and
 * combinations.
 */
import { HotspareError, whatHappened } from '../../errors.js'
import { frameBytesMin } from '../../protocol/identity.js'
import { requireKnown } from '../../util/option-names.js'
import type { ClusterNodeOptions, NodeOptions } from './options.js'

/** Members that a cluster may have; more are `OPTION_INVALID`. */
export const membersMax = 64
/** Shortest secret, in bytes; a shorter one is `OPTION_INVALID`. */
export const secretBytesMin = 16

/** Options with their defaults, whatever the classes of the policy. */
type Checked = Omit<NodeOptions, 'policy'> & { readonly policy: unknown }

const optionNames: Readonly<Record<keyof ClusterNodeOptions, true>> = {
  ...{ cluster: true, id: true, members: true, transport: true, storage: true, policy: true },
  ...{ secret: true, appVersion: true, heartbeatMs: true, deadMs: true, discoveryMs: true },
  ...{ startupWaitMs: true, degradeAfterMs: true, switchoverMs: true, handshakeMs: true },
  ...{ flowControl: true },
  ...{ onNoStandby: true, onMissingPeer: true, order: true, allowStale: true, integrity: true },
  ...{ frameBytesMax: true, journalBytesMax: true, vaultBytesMax: true, gate: true, clock: true },
  ...{ restoreBytesPerSecondMax: true, random: true, logger: true },
}

/** The methods that an object option must have. */
const methods = {
  transport: ['listen', 'dial'],
  storage: ['open'],
  policy: ['fingerprints'],
  gate: ['mayBecomeActive'],
  clock: ['nowMs', 'wallMs', 'setTimer', 'clearTimer'],
  random: ['bytes', 'number'],
} as const

/** The function of the library that makes the option, for error messages. */
const makers: Readonly<Record<string, string>> = {
  transport: 'a transport such as tcp({ listen })',
  storage: 'a storage such as directory(path)',
  policy: 'new SyncPolicy({ … })',
}

const idPattern = /^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$/
const idRule = "a letter or digit, and up to 63 letters, digits, '.', '_' or '-' after it"

function invalid(option: string, message: string): HotspareError {
  return new HotspareError('OPTION_INVALID', message, { details: { option } })
}

/**
 * Checks the options as given.
 *
 * @throws `OPTION_INVALID`
 */
export function checkGiven(given: object): void {
  if (typeof given !== 'object' || given === null) {
    const what = 'ClusterNode needs options: new ClusterNode({ cluster, id, members, … })'
    throw new HotspareError('OPTION_INVALID', what, { whatToDo: 'See ClusterNodeOptions.' })
  }
  requireKnown('the node', given, Object.keys(optionNames))
  if ('secret' in given && given.secret === undefined) {
    // An unset environment variable must not open the cluster to everyone.
    const what = 'secret is given and undefined; leave the option out to run without a secret'
    throw invalid('secret', what)
  }
}

/**
 * Checks the options with their defaults.
 *
 * @throws `OPTION_INVALID`
 */
export function checkOptions(options: Checked): void {
  checkKinds(options)
  checkNames(options)
  checkSecret(options)
  checkTimes(options)
  checkSizes(options)
}

function checkKinds(options: Checked): void {
  for (const [name, needed] of Object.entries(methods)) {
    const value: unknown = options[name as keyof typeof methods]
    if (value === undefined && name === 'gate') continue
    if (value === undefined) {
      const wanted = makers[name] === undefined ? '' : `, wanted ${makers[name]}`
      throw invalid(name, `the option ${name} is missing${wanted}`)
    }
    const lacks = needed.find(
      (method) => typeof (value as Record<string, unknown> | null)?.[method] !== 'function',
    )
    if (lacks === undefined) continue
    const wanted = makers[name] ?? `an object with ${lacks}()`
    throw invalid(name, `${name} is ${shown(value)}, wanted ${wanted}`)
  }
  const { allowStale, appVersion, logger } = options
  if (typeof allowStale !== 'boolean') {
    throw invalid('allowStale', `allowStale is ${shown(allowStale)}, wanted true or false`)
  }
  if (appVersion !== undefined && typeof appVersion !== 'string') {
    throw invalid('appVersion', `appVersion is ${shown(appVersion)}, wanted a string`)
  }
  if (logger !== undefined && typeof logger !== 'function') {
    throw invalid('logger', `logger is ${shown(logger)}, wanted a function`)
  }
}

function shown(value: unknown): string {
  return typeof value === 'string'
    ? JSON.stringify(value)
    : `of the kind ${value === null ? 'null' : typeof value}`
}

function checkNames(options: Checked): void {
  const { cluster, id, members } = options
  if (typeof cluster !== 'string' || !idPattern.test(cluster)) {
    throw invalid('cluster', `cluster is ${JSON.stringify(cluster)}, wanted ${idRule}`)
  }
  if (!Array.isArray(members) || members.length === 0 || members.length > membersMax) {
    throw invalid('members', `members must list 1 to ${membersMax} members`)
  }
  const seen = new Set<string>()
  const addresses = new Map<string, string>()
  for (const member of members as readonly unknown[]) {
    const { id: name, address } = checkMember(member)
    if (seen.has(name)) throw invalid('members', `members lists ${name} twice`)
    seen.add(name)
    const other = addresses.get(address)
    if (other !== undefined) {
      throw invalid('members', `the members ${other} and ${name} have one address, ${address}`)
    }
    addresses.set(address, name)
    // This node's own address too, because the others dial it and all nodes have the same list.
    checkAddress(options, name, address)
  }
  if (!seen.has(id)) {
    throw invalid('id', `id is ${JSON.stringify(id)}, which members does not list`)
  }
  if (members.every((member) => member.observer === true)) {
    throw invalid('members', 'all members are observers')
  }
}

function checkMember(member: unknown): { readonly id: string; readonly address: string } {
  requireKnown('a member', member, ['id', 'address', 'observer'])
  const { id, address, observer } = member as Record<string, unknown>
  if (typeof id !== 'string' || !idPattern.test(id)) {
    throw invalid('members', `members holds the id ${JSON.stringify(id)}, wanted ${idRule}`)
  }
  if (typeof address !== 'string' || address.length === 0) {
    throw invalid('members', `the member ${id} has no address`)
  }
  if (observer !== undefined && typeof observer !== 'boolean') {
    throw invalid('members', `observer of ${id} is ${shown(observer)}, wanted true or false`)
  }
  return { id, address }
}

function checkAddress({ transport }: Checked, id: string, address: string): void {
  try {
    transport.checkAddress?.(address)
  } catch (cause) {
    const what = `${transport.name} cannot dial the member ${id}: ${whatHappened(cause)}`
    throw new HotspareError('OPTION_INVALID', what, { cause, details: { option: 'members' } })
  }
}

function checkSecret({ secret }: Checked): void {
  if (secret === undefined) return
  if (typeof secret !== 'string' && !(secret instanceof Uint8Array)) {
    throw invalid('secret', `secret is ${shown(secret)}, wanted a string or a Uint8Array`)
  }
  const bytes = Buffer.byteLength(secret)
  if (bytes >= secretBytesMin) return
  throw invalid('secret', `secret has ${bytes} bytes, wanted at least ${secretBytesMin}`)
}

function checkTimes(options: Checked): void {
  const names = [
    'heartbeatMs',
    'deadMs',
    'discoveryMs',
    'startupWaitMs',
    'degradeAfterMs',
    'switchoverMs',
    'handshakeMs',
  ] as const
  for (const name of names) {
    const value = options[name]
    const least = name === 'startupWaitMs' ? 0 : 1
    if (!Number.isFinite(value) || value < least || value > 2 ** 31 - 1) {
      throw invalid(name, `${name} is ${String(value)}, wanted milliseconds, at least ${least}`)
    }
  }
  const { heartbeatMs, deadMs, discoveryMs } = options
  if (deadMs < 3 * heartbeatMs) {
    throw invalid('deadMs', `deadMs (${deadMs}) must be at least 3 x heartbeatMs (${heartbeatMs})`)
  }
  if (discoveryMs < heartbeatMs) {
    const what = `discoveryMs (${discoveryMs}) must be at least heartbeatMs (${heartbeatMs})`
    throw invalid(
      'discoveryMs',
      `${what}: a shorter search hears no active, and a second one serves`,
    )
  }
}

function checkSizes(options: Checked): void {
  const least = {
    frameBytesMax: frameBytesMin,
    journalBytesMax: 1024 * 1024,
    vaultBytesMax: 0,
    restoreBytesPerSecondMax: 0,
  }
  for (const [name, min] of Object.entries(least)) {
    const value = options[name as keyof typeof least]
    if (!Number.isSafeInteger(value) || value < min) {
      throw invalid(name, `${name} is ${String(value)}, wanted whole bytes, at least ${min}`)
    }
  }
  if (options.frameBytesMax > 16 * 1024 * 1024) {
    throw invalid(
      'frameBytesMax',
      `frameBytesMax is ${options.frameBytesMax}, wanted at most 16 MiB`,
    )
  }
  const choices = {
    onNoStandby: ['degrade', 'block'],
    flowControl: ['redundancy', 'speed'],
    onMissingPeer: ['takeOver', 'hold'],
    order: ['freshest', 'list'],
    integrity: ['mac', 'crc'],
  } as const
  for (const [name, values] of Object.entries(choices)) {
    const value = options[name as keyof typeof choices]
    if (!(values as readonly string[]).includes(value)) {
      throw invalid(name, `${name} is ${JSON.stringify(value)}, wanted ${values.join(' or ')}`)
    }
  }
}
