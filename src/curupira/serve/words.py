"""Words of the printable dossier in the three languages; the pages keep their own."""

from __future__ import annotations

_KEYS = (
    *("dossier", "before", "after", "picture_note", "width"),
    *("what", "status", "intensity_class", "area"),
    *("edited", "first_flag", "issued", "confirmed", "confidence", "verdict", "none_yet", "where"),
    *("coordinates", "municipality", "protected_area", "indigenous_territory", "method"),
    *("method_text", "preset", "run", "scene"),
    *("optical_before", "optical_after", "cloud", "cloud_unsaid"),
    *("status.preliminary", "status.confirmed", "status.closed"),
    *("closed.expired", "closed.merged_into", "closed.withdrawn", "closed.rejected"),
    *("intensity.low_intensity", "intensity.high_intensity"),
    *("verdict.automatic", "verdict.recent_deforestation", "verdict.recent_degradation"),
    *("verdict.burnt", "verdict.residue", "verdict.water_flooded", "verdict.non_forest"),
    *("verdict.false_positive", "verdict.cloud", "verdict.no_reference"),
    *("candidates", "candidates_note", "probability", "first_seen", "last_seen"),
)
_EN = (
    *("Warning dossier", "Before", "After"),
    "Radar composite: red VV, green VH, blue the difference of both. Cleared ground is dark. "
    "The line is the warning's outline.",
    *("Width of the picture", "What", "Status", "Class", "Area"),
    *("polygon edited by an operator", "First flagged image"),
    *("Issued", "Confirmed", "Confidence", "Verdict", "not reviewed yet", "Where", "Coordinates"),
    *("Municipality", "Protected area", "Indigenous territory", "Method"),
    "Fall of Sentinel-1 VH backscatter (gamma0) below the level of the same forest before, seen in "
    "the detection period, after DETER-R (Doblas et al. 2022).",
    *("Preset", "run", "scene"),
    *("Optical, before", "Optical, newest", "cloud", "cloud not stated"),
    *("preliminary", "confirmed", "closed"),
    *("expired unconfirmed", "merged into another", "withdrawn", "rejected by a verdict"),
    *("low intensity", "high intensity", "automatic", "recent deforestation"),
    *("recent degradation", "burnt", "residue", "water or flooded", "non-forest"),
    *("false positive", "cloud", "no reference", "Mining candidates"),
    "Squares that look like mining on the newest images and touch no warning; not yet visited.",
    *("Probability", "First seen", "Last seen"),
)
_PT = (
    *("Laudo do aviso", "Antes", "Depois"),
    "Composição de radar: vermelho VV, verde VH, azul a diferença. O solo exposto aparece escuro. "
    "A linha é o contorno do aviso.",
    *("Largura da imagem", "O quê", "Situação", "Classe", "Área"),
    "polígono editado por operador",
    *("Primeira imagem com sinal", "Emitido", "Confirmado", "Confiança", "Veredito"),
    *("ainda não avaliado", "Onde", "Coordenadas", "Município", "Unidade de conservação"),
    *("Terra indígena", "Método"),
    "Queda do retroespalhamento VH do Sentinel-1 (gama0) abaixo do nível anterior da mesma "
    "floresta, no período de detecção, segundo o DETER-R (Doblas et al. 2022).",
    *("Configuração", "execução", "cena"),
    *("Óptica, antes", "Óptica, mais recente", "nuvens", "nuvens não informadas"),
    *("preliminar", "confirmado", "encerrado"),
    *("expirou sem confirmação", "unido a outro", "retirado", "rejeitado por um veredito"),
    *("baixa intensidade", "alta intensidade", "automático", "desmatamento recente"),
    *("degradação recente", "queimada", "resíduo", "água ou área alagada", "não floresta"),
    *("falso positivo", "nuvem", "sem referência", "Candidatos a garimpo"),
    "Quadrados que parecem garimpo nas imagens mais novas e não tocam nenhum aviso; sem vistoria.",
    *("Probabilidade", "Visto primeiro", "Visto por último"),
)
_ES = (
    *("Informe del aviso", "Antes", "Después"),
    "Composición de radar: rojo VV, verde VH, azul la diferencia. El suelo desnudo se ve oscuro. "
    "La línea es el contorno del aviso.",
    *("Ancho de la imagen", "Qué", "Estado", "Clase", "Área"),
    "polígono editado por un operador",
    *("Primera imagen con señal", "Emitido", "Confirmado", "Confianza", "Veredicto"),
    *("aún sin evaluar", "Dónde", "Coordenadas", "Municipio", "Área protegida"),
    *("Territorio indígena", "Método"),
    "Caída de la retrodispersión VH de Sentinel-1 (gamma0) por debajo del nivel anterior del mismo "
    "bosque, en el periodo de detección, según DETER-R (Doblas et al. 2022).",
    *("Configuración", "ejecución", "escena"),
    *("Óptica, antes", "Óptica, más reciente", "nubes", "nubes sin indicar"),
    *("preliminar", "confirmado", "cerrado"),
    *("expiró sin confirmación", "unido a otro", "retirado", "rechazado por un veredicto"),
    *("baja intensidad", "alta intensidad", "automático", "deforestación reciente"),
    *("degradación reciente", "quemado", "residuo", "agua o inundado", "no bosque"),
    *("falso positivo", "nube", "sin referencia", "Candidatos a minería"),
    "Cuadrados que parecen minería en las imágenes nuevas y no tocan ningún aviso; sin visita.",
    *("Probabilidad", "Visto primero", "Visto por última vez"),
)
#: Text by language and key.
WORDS = {
    language: dict(zip(_KEYS, texts, strict=True))
    for language, texts in (("en", _EN), ("pt", _PT), ("es", _ES))
}
