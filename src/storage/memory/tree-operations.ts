/** The effect of each operation on the files in memory. */

import type { FileStat, TreeOperation } from '../../interfaces/tree-store.js'
import { storageFailed } from '../failure.js'
import { Bytes } from './bytes.js'
import { type Content, objectKey } from './content.js'
import type { Change } from './tree-content.js'

const defaultMode = 0o644

type Operation<Kind extends TreeOperation['kind']> = Extract<TreeOperation, { kind: Kind }>

/** Whether a full device refuses the operation. */
export function needsRoom(operation: TreeOperation): boolean {
  return operation.kind !== 'remove' && !(operation.kind === 'keep' && !operation.copy)
}

/** Carries out one operation; returns the file's new state. */
export function carryOut(content: Content, operation: TreeOperation): FileStat | undefined {
  const { tree } = content
  const { path } = operation
  switch (operation.kind) {
    case 'put': {
      tree.makeWay(path, operation.force ?? false)
      tree.failed.delete(path)
      const file = tree.newFile(new Bytes(new Uint8Array(operation.bytes)), operation.mode)
      tree.change(path, { file, tears: 'whole' })
      break
    }
    case 'patch':
      patch(content, operation, operation.bytes)
      break
    case 'patchObject':
      patch(content, operation, objectOf(content, operation).view())
      break
    case 'truncate': {
      tree.makeWay(path, operation.force ?? false)
      const old = tree.get(path)
      if (old?.bytes.length === operation.size) break
      const bytes = (old?.bytes ?? new Bytes()).resized(operation.size)
      const file = tree.newFile(bytes, old?.mode ?? defaultMode, old)
      tree.change(path, { file, tears: 'never', inPlace: (all) => all.resized(operation.size) })
      break
    }
    case 'remove':
      tree.failed.delete(path)
      if (tree.get(path) !== undefined) tree.change(path, { file: undefined, tears: 'never' })
      break
    case 'install':
      install(content, operation)
      break
    case 'keep':
      keep(content, operation)
      break
  }
  return tree.stat(path)
}

function patch(
  { tree }: Content,
  operation: Operation<'patch' | 'patchObject'>,
  bytes: Uint8Array,
): void {
  tree.makeWay(operation.path, operation.force ?? false)
  const old = tree.get(operation.path)
  const patched = (old?.bytes ?? new Bytes()).with(operation.offset, bytes)
  const file = tree.newFile(patched, old?.mode ?? defaultMode, old)
  const inPlace = (all: Bytes): Bytes => all.with(operation.offset, bytes)
  tree.change(operation.path, { file, tears: 'inPlace', inPlace })
}

function install(content: Content, operation: Operation<'install'>): void {
  const { tree, objects } = content
  const { path } = operation
  const key = objectKey(operation.area, operation.name)
  if (operation.move && objects.get(key) === undefined) return
  const bytes = objectOf(content, operation).freeze()
  tree.makeWay(path, operation.force ?? false)
  tree.failed.delete(path)
  const tears = operation.move && objects.isDurable(key) ? 'never' : 'whole'
  const file = tree.newFile(bytes, operation.mode)
  const onDisk = operation.move ? objects.droppedState(key) : undefined
  if (operation.move) tree.change(path, { file, tears, onDisk, undo: objects.moveOut(key) })
  else tree.change(path, { file, tears })
}

function keep({ tree, objects }: Content, operation: Operation<'keep'>): void {
  const { path } = operation
  const key = objectKey(operation.area, operation.name)
  const file = tree.get(path)
  if (file === undefined || objects.get(key) !== undefined) return
  if (operation.copy) {
    objects.addWhole(key, file.bytes.freeze())
    return
  }
  const change: Change = {
    file: undefined,
    tears: 'never',
    undo: () => objects.undoMove(key),
    settled: () => objects.settleMove(key),
  }
  tree.failed.delete(path)
  objects.moveIn(key, file.bytes, () => tree.settleThrough(path, change))
  tree.change(path, change)
}

function objectOf({ objects }: Content, operation: Operation<'install' | 'patchObject'>): Bytes {
  const { area, name, path } = operation
  const bytes = objects.get(objectKey(area, name))
  if (bytes !== undefined) return bytes
  throw storageFailed(`there is no object ${area}/${name} for ${JSON.stringify(path)}`, path)
}
