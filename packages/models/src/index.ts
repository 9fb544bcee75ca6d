export { gelu, layerNorm, quickGelu } from "./Composites.ts"
export { planHuggingFace, planOpenClip, type CheckpointPlan, type WeightSource } from "./Checkpoint.ts"
export * from "./Config.ts"
export { dropoutKey } from "./Dropout.ts"
export * from "./HuggingFaceExport.ts"
export { fromHuggingFace, type NameMap } from "./HuggingFaceNames.ts"
export { atImageSize } from "./ImageSize.ts"
export { l2Normalize } from "./Layers.ts"
export * from "./Model.ts"
export { modelFromConfig } from "./ModelFromConfig.ts"
export { contrastive, type ContrastiveOutputs } from "./objectives/Contrastive.ts"
export { contrastiveBlock, sigmoidBlock, type ContrastiveBlock } from "./objectives/ContrastiveBlock.ts"
export * from "./objectives/LanguageModeling.ts"
export * from "./objectives/Matching.ts"
export * from "./objectives/MomentumContrastive.ts"
export { noImage } from "./objectives/SameImage.ts"
export { sigmoidContrastive } from "./objectives/SigmoidContrastive.ts"
export * from "./Optimizers.ts"
export { preprocessorConfig } from "./PreprocessorConfig.ts"
export * from "./Presets.ts"
export * from "./Random.ts"
export * from "./Schedules.ts"
export {
  bpeOfMerges,
  byteLevelBPE,
  mergesFor,
  openAiBPE,
  vocabOfMerges,
  type BPEOptions,
  type ByteLevelBPEFiles
} from "./text/ByteLevelBPE.ts"
export { preCaption } from "./text/PreCaption.ts"
export {
  SENTENCE_PIECE_HEADER,
  sentencePiece,
  sentencePieceIn,
  sentencePieceVocabulary,
  type SentencePieceOptions
} from "./text/SentencePiece.ts"
export { SPECIAL_TOKENS } from "./text/SpecialTokens.ts"
export type { Tokenizer } from "./text/Tokenizer.ts"
export { tokenizerOf } from "./text/TokenizerOf.ts"
export * from "./text/TrainWordPiece.ts"
export { UNIGRAM_HEADER, unigramIn, unigramJson, unigramVocabulary } from "./text/UnigramJson.ts"
export { readVocabulary, wordPiece, type WordPiece, type WordPieceOptions } from "./text/WordPiece.ts"
export type * from "./decoding/Decoding.ts"
export { numLikeliest, promptSlots } from "./decoding/Decoding.ts"
export { decoding, generate } from "./decoding/Generate.ts"
export { massBefore } from "./decoding/Draw.ts"
export { drawWeights, type Greedy, type Nucleus } from "./decoding/NextToken.ts"
