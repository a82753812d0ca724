// Reads simulations as a JSON list on standard input, and writes what @cloud-copilot/iam-simulate decides of each.
// EVALUATOR_MODULES is the directory that `npm ci` filled.

import { createRequire } from 'node:module'
import { pathToFileURL } from 'node:url'
import { readFileSync } from 'node:fs'

const { resolve } = createRequire(`${process.env.EVALUATOR_MODULES}/`)
const { runSimulation } = await import(pathToFileURL(resolve('@cloud-copilot/iam-simulate')))

const decisions = []
for (const simulation of JSON.parse(readFileSync(0, 'utf8'))) {
  const answer = await runSimulation(simulation, { simulationMode: 'Strict' })
  if (answer.resultType === 'error') {
    decisions.push({ decision: null, problem: answer.errors, ignored: [] })
    continue
  }
  // Keys that AWS does not put into such a request.
  const results = answer.resultType === 'single' ? [answer.result] : answer.results
  const ignored = results.flatMap((result) => result.ignoredContextKeys ?? [])
  decisions.push({ decision: answer.overallResult, problem: null, ignored })
}
process.stdout.write(JSON.stringify(decisions))
