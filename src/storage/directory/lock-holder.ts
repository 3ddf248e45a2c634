/** Describes the process that holds a lock, and checks whether it is alive. */
import { randomUUID } from 'node:crypto'
import { existsSync, readFileSync, readlinkSync } from 'node:fs'
import { hostname } from 'node:os'
import type { StorageOwner } from '../../interfaces/storage.js'
import { errnoOf } from './base/fs-error.js'

/**
 * The content of a lock file. Empty strings and 0 mean that the platform does not provide the
 * value.
 */
export interface LockContent {
  readonly nodeId: string
  readonly bootId: string
  readonly token: string
  readonly pid: number
  readonly processStart: string
  readonly machineBoot: string
  readonly processNamespace: string
  readonly host: string
}

function readText(path: string): string {
  try {
    return readFileSync(path, 'utf8').trim()
  } catch {
    return ''
  }
}

function readLink(path: string): string {
  try {
    return readlinkSync(path)
  } catch {
    return ''
  }
}

/** When a process started, in ticks since the boot; '' where the platform does not provide it. */
function processStart(pid: number): string {
  // The program's name, in parentheses, may contain spaces, so fields are counted after it.
  const text = readText(`/proc/${pid}/stat`)
  const fields = text.slice(text.lastIndexOf(')') + 2).split(' ')
  return fields[19] ?? ''
}

/** Whether the process with this id is the one that started then. */
function isProcess(pid: number, start: string): boolean {
  try {
    process.kill(pid, 0)
  } catch (error) {
    // EPERM: it is alive, and runs under another user.
    if (errnoOf(error) !== 'EPERM') return false
  }
  const found = processStart(pid)
  return start === '' || found === '' || found === start
}

function thisMachine(): { machineBoot: string; processNamespace: string; host: string } {
  return {
    machineBoot: readText('/proc/sys/kernel/random/boot_id'),
    processNamespace: existsSync('/proc/self/ns/pid') ? readLink('/proc/self/ns/pid') : '',
    host: hostname(),
  }
}

/** Whether the holder is alive; undefined where this process cannot determine it. */
export function isKnownToLive(holder: LockContent): boolean | undefined {
  const here = thisMachine()
  const knowsBoot = holder.machineBoot !== '' && here.machineBoot !== ''
  if (knowsBoot && holder.host === here.host && holder.machineBoot !== here.machineBoot)
    return false
  const comparable =
    holder.pid > 0 &&
    holder.host === here.host &&
    holder.machineBoot === here.machineBoot &&
    holder.processNamespace === here.processNamespace
  return comparable ? isProcess(holder.pid, holder.processStart) : undefined
}

export function describeThisProcess(owner: StorageOwner): LockContent {
  return {
    nodeId: owner.nodeId,
    bootId: owner.bootId,
    token: randomUUID(),
    pid: process.pid,
    processStart: processStart(process.pid),
    ...thisMachine(),
  }
}

export function who(holder: LockContent): string {
  return `node ${holder.nodeId} (boot ${holder.bootId}, process ${holder.pid} on ${holder.host})`
}
