/** The operators that every pipeline may name, by name. */
import type { AnyOperator, Registry } from "@bootlace/graph"
import { BinaryMetrics } from "./BinaryMetrics.ts"
import { BuildVocabulary } from "./BuildVocabulary.ts"
import { CaptionMetrics } from "./CaptionMetrics.ts"
import { Captioner } from "./Captioner.ts"
import { Filter } from "./Filter.ts"
import { ImageEncoder } from "./ImageEncoder.ts"
import { InitModel } from "./InitModel.ts"
import { ITC } from "./ITC.ts"
import { ITM } from "./ITM.ts"
import { LMDecoder } from "./LMDecoder.ts"
import { Quantile } from "./Quantile.ts"
import { ReadPairs } from "./ReadPairs.ts"
import { RerankedRecall } from "./RerankedRecall.ts"
import { RetrievalRecall } from "./RetrievalRecall.ts"
import { Select } from "./Select.ts"
import { TextEncoder } from "./TextEncoder.ts"
import { Train } from "./Train.ts"
import { Union } from "./Union.ts"
import { WriteShards } from "./WriteShards.ts"
import { ZeroShotClassifier } from "./ZeroShotClassifier.ts"

const all: ReadonlyArray<AnyOperator> = [
  BinaryMetrics,
  BuildVocabulary,
  CaptionMetrics,
  Captioner,
  Filter,
  ImageEncoder,
  InitModel,
  ITC,
  ITM,
  LMDecoder,
  Quantile,
  ReadPairs,
  RerankedRecall,
  RetrievalRecall,
  Select,
  TextEncoder,
  Train,
  Union,
  WriteShards,
  ZeroShotClassifier
]

export const operators: Registry = Object.fromEntries(all.map((operator) => [operator.name, operator]))
